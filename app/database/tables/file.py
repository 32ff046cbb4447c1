"""Files: what users sent and bots sent. The bytes are in the storage (app/files/store.py), under `key`."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Text
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c


class File(SQLModel, table=True):
    """One file of a conversation. There is a row before the object is stored and until it is deleted.

    An erased one has state `deleted` and tells nothing any more; the row goes once the object is gone.
    """

    __tablename__ = "file"
    __table_args__ = (
        # One row for each attachment of an event, however often it is handled.
        Index(
            "file_of_event",
            "event_id",
            "position",
            unique=True,
            postgresql_where=sql("direction = 'in' AND state <> 'deleted'"),
        ),
        Index("file_conversation", "conversation_id"),
        Index("file_created", "endpoint", "created_at"),
        Index("file_deleted", "deleted_at", postgresql_where=sql("state = 'deleted'")),
        CheckConstraint("direction IN ('in', 'out')", name="direction"),
        CheckConstraint("state IN ('wanted', 'stored', 'failed', 'infected', 'deleted')", name="state"),
        CheckConstraint("scan IN ('not_scanned', 'clean', 'infected')", name="scan"),
    )

    id: int | None = c.key()
    key: str = Field(default=None, sa_column=Column(Text, nullable=False, unique=True))
    endpoint: str = c.text()
    conversation_id: int = c.big(default=None)
    session_id: int | None = c.big(nullable=True, default=None)
    event_id: int | None = c.big(nullable=True, default=None)  # in: the event it came with
    delivery_id: int | None = c.big(nullable=True, default=None)  # out: the delivery it goes with
    position: int = c.big()  # which attachment of its event or delivery, from 0
    direction: str = c.text()  # in: from the user; out: from the bot
    name: str | None = c.text(nullable=True)  # as the sender calls it: content, like a text
    declared_type: str | None = c.text(nullable=True)  # media type as the sender calls it
    type: str | None = c.text(nullable=True)  # media type that the bytes say
    size: int | None = c.big(nullable=True, default=None)  # bytes
    sha256: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    gateway_id: str | None = c.text(nullable=True)  # 8x8's id of the attachment
    state: str = c.text(default="wanted")
    scan: str = c.text(default="not_scanned")
    reason: str | None = c.text(nullable=True)  # why there is none: too_big, not_found, … (never a text)
    created_at: c.Time = c.at(now=True)
    stored_at: c.Time | None = c.at()
    deleted_at: c.Time | None = c.at()
