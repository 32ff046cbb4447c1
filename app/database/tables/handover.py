"""Handovers to human agents, and each change of their state."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlalchemy import text as sql
from sqlmodel import SQLModel

from app.database import columns as c


class Handover(SQLModel, table=True):
    """One handover. At most one of a conversation is open. `dialog_id` is null where no bot asked for it."""

    __tablename__ = "handover"
    __table_args__ = (
        Index("handover_open", "conversation_id", unique=True, postgresql_where=sql("ended_at IS NULL")),
        Index("handover_requested", "endpoint", "requested_at"),
        Index("handover_conversation", "conversation_id", "id"),
        CheckConstraint(
            "status IN ('requested', 'queued', 'active', 'transferred', "
            "'completed', 'cancelled', 'failed', 'timed_out')",
            name="status",
        ),
        CheckConstraint(
            "(ended_at IS NULL) = (status IN ('requested', 'queued', 'active', 'transferred'))", name="ended"
        ),
    )

    id: int | None = c.key()
    endpoint: str = c.text()
    conversation_id: int = c.reference("conversation.id")
    session_id: int | None = c.big(nullable=True, default=None)
    dialog_id: int | None = c.big(nullable=True, default=None)
    position: int | None = c.big(nullable=True, default=None)  # its journal position
    queue: str | None = c.text(nullable=True)
    status: str = c.text(default="requested")
    reason: str | None = c.text(nullable=True)
    requested_at: c.Time = c.at(nullable=False)
    queued_at: c.Time | None = c.at()
    active_at: c.Time | None = c.at()
    ended_at: c.Time | None = c.at()
    events_since: c.Time = c.at(nullable=False)  # older events belong to an earlier handover
    signals: list[dict[str, Any]] = c.json_list()  # all so far: the state is computed from them
    transfers: int = c.big()
    inactive_count: int = c.big()
    agents: list[str] = c.json_list()  # everyone who joined
    message_events: list[int] = c.json_list()  # events of the messages meanwhile, for the bot's outcome
    settings: dict[str, Any] = c.json()  # cancel_text, repeat_message, message, …: as they were then


class HandoverTransition(SQLModel, table=True):
    """One change of a handover's state, or the first message of an agent."""

    __tablename__ = "handover_transition"
    __table_args__ = (Index("handover_transition_handover", "handover_id", "id"),)

    id: int | None = c.key()
    handover_id: int = c.reference("handover.id")
    at: c.Time = c.at(nullable=False)
    cause: str = c.text()  # the signal
    status: str = c.text()  # after it
    agent_id: str | None = c.text(nullable=True)
    event_id: int | None = c.big(nullable=True, default=None)
