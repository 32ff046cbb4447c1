"""Dialogs (one invocation of the bot each), their journal and timers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c


class Dialog(SQLModel, table=True):
    """One invocation of the bot. At most one of a conversation is open."""

    __tablename__ = "dialog"
    __table_args__ = (
        Index("dialog_open", "conversation_id", unique=True, postgresql_where=sql("ended_at IS NULL")),
        Index("dialog_session", "session_id"),
        Index("dialog_conversation", "conversation_id"),
        CheckConstraint(
            "status IN ('running', 'waiting', 'completed', 'failed', 'diverged', 'closed')", name="status"
        ),
        CheckConstraint("(ended_at IS NULL) = (status IN ('running', 'waiting'))", name="ended"),
        {"postgresql_with": {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.01"}},
    )

    id: int | None = c.key()
    conversation_id: int = c.reference("conversation.id")
    session_id: int = c.reference("session.id")
    bot: str = c.text()  # module:function
    seed: int = c.big()
    status: str = c.text(default="running")
    session_data: dict[str, Any] = c.json()  # chat.session as the dialog began
    contact_data: dict[str, Any] = c.json()  # chat.contact as the dialog began
    private: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false"), "nullable": False})
    error: str | None = c.text(nullable=True)  # type of the error and where, never a text
    started_at: c.Time = c.at(now=True)
    ended_at: c.Time | None = c.at()


class Journal(SQLModel, table=True):
    """What a dialog took and gave, in order: the source of every replay."""

    __tablename__ = "journal"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('input', 'timeout', 'output', 'step', 'result', "
            "'handover', 'signal', 'outcome', 'note')",
            name="kind",
        ),
    )

    dialog_id: int = c.reference("dialog.id", primary_key=True)
    position: int = c.big(default=None, primary_key=True)
    kind: str = c.text()
    name: str | None = c.text(nullable=True)
    content: dict[str, Any] = c.json()
    at: c.Time = c.at(nullable=False)
    event_id: int | None = c.big(nullable=True, default=None)


class Timer(SQLModel, table=True):
    """Something that happens to a conversation at a time, whatever restarts in between."""

    __tablename__ = "timer"
    __table_args__ = (
        Index("timer_open", "conversation_id", "due_at", postgresql_where=sql("ended_at IS NULL")),
        CheckConstraint("outcome IN ('fired', 'cancelled')", name="outcome"),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
    )

    id: int | None = c.key()
    conversation_id: int = c.reference("conversation.id")
    dialog_id: int | None = c.big(nullable=True, default=None)
    kind: str = c.text()  # receive, …
    position: int | None = c.big(nullable=True, default=None)  # the journal position that waits
    due_at: c.Time = c.at(nullable=False)
    ended_at: c.Time | None = c.at()
    outcome: str | None = c.text(nullable=True)
