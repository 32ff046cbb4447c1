"""Who may read from outside: API tokens, of which only hashes are kept."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from app.database import columns as c


class ApiToken(SQLModel, table=True):
    """One token. `endpoints` empty: those of every endpoint."""

    __tablename__ = "api_token"
    __table_args__ = (
        Index("api_token_hash", "hash", unique=True, postgresql_where=sql("revoked_at IS NULL")),
    )

    id: int | None = c.key()
    name: str = c.text()
    scope: str = c.text()  # what it is for: analytics
    endpoints: list[str] = c.json_list()
    hash: bytes = Field(default=None, sa_column=Column(LargeBinary, nullable=False))  # SHA-256 of the token
    created_at: c.Time = c.at(now=True)
    expires_at: c.Time | None = c.at()
    revoked_at: c.Time | None = c.at()
    last_used_at: c.Time | None = c.at()  # to the minute
