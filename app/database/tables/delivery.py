"""Deliveries (one thing to send to 8x8 each, in order) and their attempts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Sequence, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c

delivery_order = Sequence("delivery_order", data_type=BigInteger)


class Delivery(SQLModel, table=True):
    """One thing to send. `place` orders the deliveries of a conversation; a redrive takes a new one."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "delivery_in_flight",
            "conversation_id",
            unique=True,
            postgresql_where=sql("status IN ('sending', 'in_doubt')"),
        ),
        Index(
            "delivery_open",
            "conversation_id",
            "place",
            postgresql_where=sql("status IN ('waiting', 'sending', 'in_doubt')"),
        ),
        Index("delivery_dead", "endpoint", "ended_at", postgresql_where=sql("status = 'dead'")),
        Index("delivery_conversation", "conversation_id", "place"),
        # By ranges of blocks: it costs an insert next to nothing.
        Index(
            "delivery_created", "created_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}
        ),
        # What was sent outside of any session, and may have to be erased.
        Index(
            "delivery_alone",
            "endpoint",
            postgresql_where=sql(
                "session_id IS NULL AND ended_at IS NOT NULL AND content->>'erased' IS NULL"
            ),
        ),
        Index(
            "delivery_unconfirmed",
            "conversation_id",
            "place",
            postgresql_where=sql("status = 'sent' AND confirmed_at IS NULL AND kind = 'message'"),
        ),
        CheckConstraint(
            "status IN ('waiting', 'sending', 'in_doubt', 'sent', 'withheld', 'dead')", name="status"
        ),
        CheckConstraint("kind IN ('message', 'assignment', 'return', 'post_agent', 'note')", name="kind"),
        CheckConstraint("(ended_at IS NULL) = (status IN ('waiting', 'sending', 'in_doubt'))", name="ended"),
        CheckConstraint("status <> 'sent' OR sent_at IS NOT NULL", name="sent"),
        CheckConstraint("(status = 'dead') = (reason IS NOT NULL) OR status = 'withheld'", name="reason"),
        {"postgresql_with": {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.01"}},
    )

    id: int | None = c.key()
    endpoint: str = c.text()
    conversation_id: int = c.reference("conversation.id")
    session_id: int | None = c.big(nullable=True, default=None)
    dialog_id: int | None = c.big(nullable=True, default=None)
    event_id: int | None = c.big(nullable=True, default=None)  # the input it answers
    position: int | None = c.big(nullable=True, default=None)  # its journal position
    place: int = Field(
        default=None,
        sa_column=Column(
            BigInteger, delivery_order, nullable=False, server_default=delivery_order.next_value()
        ),
    )
    kind: str = c.text(default="message")
    content: dict[str, Any] = c.json()
    status: str = c.text(default="waiting")
    attempts: int = c.big()
    created_at: c.Time = c.at(now=True)
    expires_at: c.Time = c.at(nullable=False)  # created_at + max_age
    next_attempt_at: c.Time | None = c.at()
    in_doubt_since: c.Time | None = c.at()
    readings: int = c.big()  # read-backs of the current doubt
    sent_at: c.Time | None = c.at()
    confirmed_at: c.Time | None = c.at()
    confirmed_by: str | None = c.text(nullable=True)  # echo, read_back
    ended_at: c.Time | None = c.at()
    reason: str | None = c.text(nullable=True)


class DeliveryAttempt(SQLModel, table=True):
    """One request of a delivery, written before the request begins."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (
        UniqueConstraint("delivery_id", "number"),
        {"postgresql_with": {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.01"}},
    )

    id: int | None = c.key()
    delivery_id: int = c.reference("delivery.id")
    number: int = c.big(default=1)
    started_at: c.Time = c.at(now=True)
    deadline_at: c.Time = c.at(nullable=False)
    finished_at: c.Time | None = c.at()
    status_code: int | None = c.big(nullable=True, default=None)
    outcome: str | None = c.text(nullable=True)  # sent, retry, refused, in_doubt, found, not_found, abandoned
    error: str | None = c.text(nullable=True)
