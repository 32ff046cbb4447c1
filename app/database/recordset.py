"""Rows given to PostgreSQL as JSON: any number of them is one parameter of one statement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql

from app.database.tables import metadata

_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # has no types
_quote = _DIALECT.identifier_preparer.quote


def as_json(value: Any) -> str:
    """JSON for a parameter; times in ISO 8601."""
    return msgspec.json.encode(value).decode()


@cache
def record(table: str, columns: tuple[str, ...], parameter: int) -> str:
    """An object as a row `new` of a FROM clause, its columns of the table's own types."""
    return f"jsonb_to_record(${parameter}::jsonb) AS new ({_typed(table, columns)})"


def rows(columns: Mapping[str, str], parameter: int) -> str:
    """An array of objects as rows `new` of a FROM clause; `columns` are names with types."""
    typed = ", ".join(f"{_quote(name)} {kind}" for name, kind in columns.items())
    return f"jsonb_to_recordset(${parameter}::jsonb) AS new ({typed})"


@cache
def inserting(table: str, columns: tuple[str, ...], parameter: int) -> str:
    """Insert an array of objects. An incident that there is already is none."""
    again = " ON CONFLICT DO NOTHING" if table == "incident" else ""
    names = ", ".join(map(_quote, columns))
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} "  # noqa: S608 - names of tables and columns only
        f"FROM jsonb_to_recordset(${parameter}::jsonb) AS new ({_typed(table, columns)}){again}"
    )


def _typed(table: str, columns: tuple[str, ...]) -> str:
    known = metadata.tables[table].c
    return ", ".join(f"{_quote(name)} {known[name].type.compile(dialect=_DIALECT)}" for name in columns)
