"""Events (webhooks, as they came) and messages (the transcript)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c


class Event(SQLModel, table=True):
    """One webhook. `id` is the arrival number; (endpoint, event_id) the dedupe key."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("endpoint", "event_id"),
        Index("event_waiting", "conversation_id", "at", "id", postgresql_where=sql("processed_at IS NULL")),
        Index("event_conversation", "conversation_id", "id"),
        Index("event_received", "endpoint", "received_at"),
        # For all endpoints; PostgreSQL 18 can skip through the one above. It costs an insert next to nothing.
        Index(
            "event_received_at",
            "received_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on"},
        ),
        CheckConstraint(
            "outcome IN ('input', 'noted', 'echo', 'ignored', 'held', 'sent', 'refused', 'dropped', "
            "'failed', 'silent', 'drained', 'quarantined', 'erased')",
            name="outcome",
        ),
        CheckConstraint("(processed_at IS NULL) = (outcome IS NULL)", name="processed"),
        {"postgresql_with": {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.01"}},
    )

    id: int | None = c.key()
    endpoint: str = c.text()
    event_id: str = c.text()  # x-8x8-event-id
    conversation_id: int | None = c.reference("conversation.id", nullable=True)
    type: str = c.text()
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    body_sha256: bytes = Field(default=None, sa_column=Column(LargeBinary, nullable=False))
    payload: dict[str, Any] | None = c.json(nullable=True)  # the body, where it parses; storable (no NUL)
    sent_at: c.Time | None = c.at()  # the event's own timestamp
    received_at: c.Time = c.at(now=True)
    at: c.Time = c.at(nullable=False)  # sent_at clamped to received_at ± 1 h: the order of handling
    retry: int = c.big()  # x-8x8-retry of the delivery that was stored
    processed_at: c.Time | None = c.at()
    outcome: str | None = c.text(nullable=True)
    late: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false"), "nullable": False})
    session_id: int | None = c.big(nullable=True, default=None)
    dialog_id: int | None = c.big(nullable=True, default=None)


class Message(SQLModel, table=True):
    """One line of the transcript, from anyone."""

    __tablename__ = "message"
    __table_args__ = (
        Index("message_conversation", "conversation_id", "id"),
        Index("message_session", "session_id"),
        # Rows come in about this order, so that ranges of blocks do: it costs an insert next to nothing.
        Index("message_at", "at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
        CheckConstraint("author IN ('user', 'bot', 'agent', 'system')", name="author"),
    )

    id: int | None = c.key()
    conversation_id: int = c.reference("conversation.id")
    session_id: int | None = c.big(nullable=True, default=None)
    dialog_id: int | None = c.big(nullable=True, default=None)
    event_id: int | None = c.big(nullable=True, default=None)
    delivery_id: int | None = c.big(nullable=True, default=None)
    handover_id: int | None = c.big(nullable=True, default=None)
    author: str = c.text()
    author_id: str | None = c.text(nullable=True)
    kind: str = c.text(default="text")
    text: str | None = c.text(nullable=True)
    content: dict[str, Any] = c.json()  # payload, data, quick replies, card, attachments
    language: str | None = c.text(nullable=True)
    late: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false"), "nullable": False})
    at: c.Time = c.at(nullable=False)
