"""Contacts, conversations and their sessions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c


class Contact(SQLModel, table=True):
    """The person at the other end, as far as the channel told."""

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("endpoint", "identity"),
        Index("contact_first_seen", "first_seen_at"),
        Index(
            "contact_profile",
            "profile",
            postgresql_using="gin",
            postgresql_ops={"profile": "jsonb_path_ops"},
        ),
    )

    id: int | None = c.key()
    endpoint: str = c.text()
    identity: str = c.text()  # "user:…", "address:…" (a WhatsApp or SMS number) or "conversation:…"
    profile: dict[str, Any] = (
        c.json()
    )  # name, email, phone, company, language, …: as CONVERSATION_UPDATE gave them
    active: bool = Field(default=True, sa_column_kwargs={"server_default": sql("true"), "nullable": False})
    first_seen_at: c.Time = c.at(now=True)
    last_seen_at: c.Time = c.at(now=True)


class Conversation(SQLModel, table=True):
    """8x8's conversation, and who works on it: `due_at`, `owner`, `epoch`."""

    __tablename__ = "conversation"
    __table_args__ = (
        UniqueConstraint("endpoint", "external_id"),
        Index("conversation_due", "endpoint", "due_at", postgresql_where=sql("due_at IS NOT NULL")),
        Index("conversation_contact", "contact_id"),
        Index("conversation_created", "created_at", "id"),
        Index("conversation_owner", "owner", postgresql_where=sql("owner IS NOT NULL")),
        CheckConstraint("state IN ('created', 'active', 'idle')", name="state"),
        CheckConstraint("control IN ('bot', 'queue', 'human')", name="control"),
        {"postgresql_with": {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.01"}},
    )

    id: int | None = c.key()
    endpoint: str = c.text()
    external_id: str = c.text()  # 8x8's conversationId
    contact_id: int | None = c.reference("contact.id", nullable=True, on_delete="SET NULL")
    known_by: list[str] = c.json_list()  # digests of the user ids, numbers and e-mails told in it
    channel: str | None = c.text(nullable=True)
    state: str = c.text(default="created")
    state_at: c.Time | None = c.at()  # when 8x8 says the newest state applied
    assignment: dict[str, Any] | None = c.json(nullable=True)  # {type, id, resourceId?}
    control: str = c.text(default="bot")  # who answers the user: bot; queue: nobody yet; human
    handled_at: c.Time | None = c.at()  # `at` of the newest event handled so far
    due_at: c.Time | None = c.at()
    owner: int | None = c.big(nullable=True, default=None)  # worker.id
    epoch: int = c.big()
    deaths: int = c.big()  # owners that died without a committed turn
    trial_epoch: int | None = c.big(nullable=True, default=None)  # the epoch that began a turn after a death
    quarantined_at: c.Time | None = c.at()
    sessions: int = c.big()  # number of the newest session
    is_test: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false"), "nullable": False})
    created_at: c.Time = c.at(now=True)


class Session(SQLModel, table=True):
    """A stretch of a conversation, ended by silence."""

    __tablename__ = "session"
    __table_args__ = (
        UniqueConstraint("conversation_id", "number"),
        Index("session_open", "conversation_id", unique=True, postgresql_where=sql("ended_at IS NULL")),
        Index("session_started", "started_at"),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended"),
        Index("session_ended", "ended_at", postgresql_where=sql("ended_at IS NOT NULL")),
        Index(
            "session_to_erase",
            "conversation_id",
            postgresql_where=sql("erase AND ended_at IS NOT NULL AND erased_at IS NULL"),
        ),
        {"postgresql_with": {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.01"}},
    )

    id: int | None = c.key()
    conversation_id: int = c.reference("conversation.id")
    number: int = c.big(default=1)
    data: dict[str, Any] = c.json()  # what the bot keeps: chat.session
    started_at: c.Time = c.at(now=True)
    last_input_at: c.Time | None = c.at()  # arrival of the newest user input
    ended_at: c.Time | None = c.at()
    end_reason: str | None = c.text(nullable=True)
    runs: int = c.big()  # Prefect runs so far
    divergences: int = c.big()
    active_started: bool = Field(
        default=False, sa_column_kwargs={"server_default": sql("false"), "nullable": False}
    )
    language: str | None = c.text(nullable=True)  # the user's, as the channel told: "de", of "de-CH"
    locale: str | None = c.text(nullable=True)  # "de-CH"
    storage: dict[str, Any] = c.json()  # what the endpoint's transformers keep
    private: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false"), "nullable": False})
    erase: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false"), "nullable": False})
    erased_at: c.Time | None = c.at()  # what its replays needed is gone
