"""Column types used by every table, so that each table file reads as a list of names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "%(column_0_label)s_index",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


def key() -> Any:
    """A generated bigint primary key."""
    return Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))


def reference(
    target: str, *, nullable: bool = False, primary_key: bool = False, on_delete: str = "CASCADE"
) -> Any:
    """A foreign key of type bigint to `table.column`."""
    return Field(
        default=None,
        sa_column=Column(
            BigInteger, ForeignKey(target, ondelete=on_delete), nullable=nullable, primary_key=primary_key
        ),
    )


def big(*, nullable: bool = False, default: int | None = 0, primary_key: bool = False) -> Any:
    """A bigint. Rows that come and go by the million name others by such a number, without a foreign key."""
    server_default = None if default is None or nullable else str(default)
    return Field(
        default=default,
        sa_column=Column(
            BigInteger,
            nullable=nullable,
            server_default=server_default,
            primary_key=primary_key,
            autoincrement=False,
        ),
    )


def text(*, nullable: bool = False, default: str | None = None, primary_key: bool = False) -> Any:
    """A text column; where a default is given, the database has it too."""
    return Field(
        default=default,
        sa_column=Column(Text, nullable=nullable, primary_key=primary_key, server_default=default),
    )


def at(*, nullable: bool = True, now: bool = False) -> Any:
    """A point in time, always with time zone; `now` lets the database fill it."""
    return Field(
        default=None,
        sa_column=Column(
            DateTime(timezone=True), nullable=nullable and not now, server_default=func.now() if now else None
        ),
    )


def json(*, nullable: bool = False) -> Any:
    """A JSONB column, `{}` unless told."""
    return Field(
        default=None,
        sa_column=Column(
            JSONB(none_as_null=True), nullable=nullable, server_default=None if nullable else "{}"
        ),
    )


def json_list() -> Any:
    """A JSONB column that holds an array, `[]` unless told."""
    return Field(default=None, sa_column=Column(JSONB, nullable=False, server_default="[]"))


Time = datetime
