"""What ops look at: endpoints' state, workers, Prefect runs and incidents."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint, Uuid
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c


class EndpointState(SQLModel, table=True):
    """What Parley learned about an endpoint; what it is set to stands in endpoints.yaml."""

    __tablename__ = "endpoint_state"
    __table_args__ = (CheckConstraint("mode IN ('live', 'to_queue', 'silent')", name="mode"),)

    endpoint: str = c.text(primary_key=True)
    tenant: str | None = c.text(nullable=True)  # pinned by the first verified event
    verified_at: c.Time | None = c.at()  # the last WEB_HOOK_VERIFY
    paused_at: c.Time | None = c.at()  # deliveries stopped by a 401 or 403
    paused_key: str | None = c.text(nullable=True)  # fingerprint of the key that was refused
    mode: str = c.text(default="live")  # live; to_queue: every input goes to agents; silent: no answers
    probe_at: c.Time | None = c.at()  # when a paused endpoint is tried next


class Worker(SQLModel, table=True):
    """One worker process and its lease."""

    __tablename__ = "worker"

    id: int | None = c.key()
    host: str = c.text()
    pid: int = c.big()
    process_started: float | None = Field(default=None)  # of that pid, seconds since 1970: tells pids apart
    started_at: c.Time = c.at(now=True)
    alive_until: c.Time = c.at(nullable=False)
    stopped_at: c.Time | None = c.at()
    stats: dict[str, Any] = c.json()  # counts since it started, written with each sign of life


class SessionRun(SQLModel, table=True):
    """One Prefect flow run: a lively stretch of a session."""

    __tablename__ = "session_run"
    __table_args__ = (
        UniqueConstraint("session_id", "number"),
        Index("session_run_open", "worker_id", postgresql_where=sql("ended_at IS NULL")),
        Index("session_run_conversation", "conversation_id"),
        Index("session_run_opened", "opened_at"),
        # One that was deleted in Prefect may run on.
        CheckConstraint("(ended_at IS NULL) = (state = 'Running') OR state = 'Deleted'", name="ended"),
    )

    id: int | None = c.key()
    session_id: int = c.reference("session.id")
    conversation_id: int = c.big(default=None)
    worker_id: int | None = c.big(nullable=True, default=None)
    number: int = c.big(default=1)
    flow_run_id: UUID | None = Field(default=None, sa_column=Column(Uuid, nullable=True, unique=True))
    name: str = c.text()
    state: str = c.text(default="Running")
    turns: int = c.big()
    retries: int = c.big()
    opened_at: c.Time = c.at(now=True)
    ended_at: c.Time | None = c.at()


class Incident(SQLModel, table=True):
    """Something a person should look at."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("incident_open", "endpoint", "at", postgresql_where=sql("resolved_at IS NULL")),
        Index("incident_conversation", "conversation_id"),
        # One each, however many workers see it.
        Index("incident_dead_air", "event_id", unique=True, postgresql_where=sql("kind = 'dead_air'")),
        Index("incident_drained", "conversation_id", unique=True, postgresql_where=sql("kind = 'drained'")),
        Index("incident_to_alert", "alert_at", postgresql_where=sql("alerted_at IS NULL")),
    )

    id: int | None = c.key()
    endpoint: str | None = c.text(nullable=True)
    conversation_id: int | None = c.big(nullable=True, default=None)
    kind: str = c.text()  # body_mismatch, quarantined, bot_failed, diverged, endpoint_paused, dead_letter, …
    event_id: int | None = c.big(nullable=True, default=None)
    detail: dict[str, Any] = c.json()  # ids, types and numbers, never a text
    at: c.Time = c.at(now=True)
    resolved_at: c.Time | None = c.at()
    alert_at: c.Time = c.at(now=True)  # when alerts.webhook is tried (again)
    alert_attempts: int = c.big()
    alerted_at: c.Time | None = c.at()  # when alerts.webhook took it
