"""What is kept for measuring: marks that bots set, and counts by the hour."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Double, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c


def _hour() -> Any:
    """The hour's beginning."""
    return Field(default=None, sa_column=Column(DateTime(timezone=True), primary_key=True))


def _count() -> Any:
    """How many there were."""
    return c.big()


def _seconds() -> Any:
    """A sum of seconds."""
    return Field(default=0.0, sa_column=Column(Double, nullable=False, server_default=sql("0")))


class Mark(SQLModel, table=True):
    """What a bot said of a turn: `chat.understood`, `chat.intent`, `chat.goal`."""

    __tablename__ = "mark"
    __table_args__ = (
        Index("mark_at", "at", "kind", "value"),  # of all marks of a time, those of a kind without their rows
        Index("mark_conversation", "conversation_id", "event_id"),
        CheckConstraint("kind IN ('understood', 'intent', 'goal')", name="kind"),
    )

    id: int | None = c.key()
    endpoint: str = c.text()
    conversation_id: int = c.reference("conversation.id")
    session_id: int | None = c.big(nullable=True, default=None)
    dialog_id: int | None = c.big(nullable=True, default=None)
    event_id: int | None = c.big(nullable=True, default=None)  # the input of the turn
    position: int | None = c.big(nullable=True, default=None)  # its journal position
    kind: str = c.text()
    value: str = c.text()  # understood: true or false; intent, goal: its name
    at: c.Time = c.at(nullable=False)


class Interaction(SQLModel, table=True):
    """8x8's interaction of a conversation, kept once somebody has asked for it: its Event Log has the id."""

    __tablename__ = "interaction"
    __table_args__ = (UniqueConstraint("conversation_id", "interaction_id"),)

    id: int | None = c.key()
    conversation_id: int = c.reference("conversation.id")
    interaction_id: str = c.text()  # 8x8's
    started_at: c.Time | None = c.at()
    ended_at: c.Time | None = c.at()
    asked_at: c.Time = c.at(now=True)


class RollupHour(SQLModel, table=True):
    """Counts of an hour, endpoint and channel. Test conversations are left out of all roll-ups."""

    __tablename__ = "rollup_hour"

    hour: c.Time = _hour()
    endpoint: str = c.text(primary_key=True)
    channel: str = c.text(primary_key=True)  # "" where 8x8 named none
    conversations: int = _count()
    sessions: int = _count()
    contained: int = _count()
    returning_contacts: int = _count()
    first_replies: int = _count()
    first_reply_seconds: float = _seconds()
    messages_user: int = _count()
    messages_bot: int = _count()
    messages_agent: int = _count()
    events: int = _count()
    turns: int = _count()
    unanswered: int = _count()
    replies: int = _count()
    latency_seconds: float = _seconds()
    understood: int = _count()
    not_understood: int = _count()
    dialogs: int = _count()
    dialogs_failed: int = _count()
    handovers: int = _count()
    handovers_active: int = _count()
    handovers_completed: int = _count()
    handovers_cancelled: int = _count()
    handovers_failed: int = _count()
    handovers_timed_out: int = _count()
    waiting_seconds: float = _seconds()
    handlings: int = _count()
    handling_seconds: float = _seconds()
    deliveries: int = _count()
    deliveries_sent: int = _count()
    deliveries_withheld: int = _count()
    deliveries_dead: int = _count()
    retries: int = _count()


class RollupLatency(SQLModel, table=True):
    """How many replies of an hour took how long: a histogram, so that percentiles of any span can be had."""

    __tablename__ = "rollup_latency"

    hour: c.Time = _hour()
    endpoint: str = c.text(primary_key=True)
    bucket: int = c.big(default=None, primary_key=True)  # analytics_bucket(milliseconds)
    replies: int = _count()


class RollupPart(SQLModel, table=True):
    """Counts of an hour by what there are many of: intents, goals, reasons, errors, drop-offs, languages."""

    __tablename__ = "rollup_part"

    hour: c.Time = _hour()
    endpoint: str = c.text(primary_key=True)
    measure: str = c.text(primary_key=True)
    part: str = c.text(primary_key=True)
    count: int = _count()


class RollupProgress(SQLModel, table=True):
    """Which hours are rolled up. One that isn't settled is computed again."""

    __tablename__ = "rollup_progress"
    __table_args__ = (Index("rollup_unsettled", "hour", postgresql_where=sql("NOT settled")),)

    hour: c.Time = _hour()
    computed_at: c.Time = c.at(nullable=False)
    settled: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=sql("false"))
    )


class Reached(SQLModel, table=True):
    """How far scheduled work of the analytics has come; see app/analytics/reached.py."""

    __tablename__ = "reached"

    what: str = c.text(primary_key=True)  # changes, dead_letters
    until: c.Time = c.at(nullable=False)


class Cleared(SQLModel, table=True):
    """Until when retention has deleted what is counted of an endpoint: the hours before it are final."""

    __tablename__ = "cleared"

    endpoint: str = c.text(primary_key=True)
    until: c.Time = c.at(nullable=False)


class Uncounted(SQLModel, table=True):
    """When an endpoint's `collect_analytics` was off: what began then is in no view and no count."""

    __tablename__ = "uncounted"
    __table_args__ = (Index("uncounted_now", "endpoint", unique=True, postgresql_where=sql("until IS NULL")),)

    id: int | None = c.key()
    endpoint: str = c.text()
    since: c.Time = c.at(nullable=False)
    until: c.Time | None = c.at()
