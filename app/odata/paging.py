"""Pages by key: a page's last row says where the next one begins, so that page 1,000 costs what page 1 costs.

Nulls come first where the order ascends and last where it descends, as OData has it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Column, ColumnElement, Select, and_, false, literal, or_, tuple_
from sqlalchemy.types import DateTime, Uuid

from app.analytics.views import View
from app.odata.errors import bad

Order = Sequence[tuple[str, bool]]


def ordered(query: Select[Any], view: View, order: Order) -> Select[Any]:
    """The query with this order."""
    return query.order_by(*(_ordering(view.table.c[name], down) for name, down in order))


def after(query: Select[Any], view: View, order: Order, token: str) -> Select[Any]:
    """What comes behind the row that `token` was made of. Raises ODataError for a token of another kind."""
    values = _read(view, order, token)
    columns = [view.table.c[name] for name, _ in order]
    directions = {down for _, down in order}
    if len(directions) == 1 and not any(column.nullable for column in columns):
        row, last = tuple_(*columns), tuple_(*map(_bound, columns, values))
        return query.where(row < last if directions == {True} else row > last)  # one look into an index
    alternatives: list[ColumnElement[bool]] = []
    for index, (column, (_, down)) in enumerate(zip(columns, order, strict=True)):
        same = [_same(column, value) for column, value in zip(columns[:index], values, strict=False)]
        alternatives.append(and_(*same, _behind(column, values[index], down)))
    return query.where(or_(*alternatives))


def behind(view: View, order: Order, token: str) -> Any:
    """The value of the first ordering column, in the row that `token` was made of. Raises as `after` does."""
    return _read(view, order, token)[0]


def token_of(order: Order, row: Sequence[Any]) -> str:
    """The token of a row, given the values of its ordering columns."""
    packed = msgspec.json.encode([[name for name, _ in order], list(row)])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read(view: View, order: Order, token: str) -> tuple[Any, ...]:
    try:
        padded = token + "=" * (-len(token) % 4)
        names, values = msgspec.json.decode(
            base64.urlsafe_b64decode(padded), type=tuple[list[str], list[Any]]
        )
        if names != [name for name, _ in order] or len(values) != len(names):
            raise ValueError
        return tuple(_typed(view.table.c[name], value) for name, value in zip(names, values, strict=True))
    except (ValueError, TypeError, binascii.Error, msgspec.MsgspecError):
        raise bad("$skiptoken is of another query") from None


def _typed(column: Column[Any], value: Any) -> Any:
    if value is None:
        if not column.nullable:
            raise ValueError
        return None
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Uuid):
        return UUID(value)
    wanted = column.type.python_type
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        raise ValueError
    return value


def _ordering(column: Column[Any], down: bool) -> Any:
    ordering = column.desc() if down else column.asc()
    if not column.nullable:
        return ordering  # as indexes have it
    return ordering.nulls_last() if down else ordering.nulls_first()


def _same(column: Column[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == _bound(column, value)


def _behind(column: Column[Any], value: Any, down: bool) -> ColumnElement[bool]:
    if down:
        if value is None:
            return false()
        behind = column < _bound(column, value)
        return or_(behind, column.is_(None)) if column.nullable else behind
    if value is None:
        return column.is_not(None)
    return column > _bound(column, value)


def _bound(column: Column[Any], value: Any) -> ColumnElement[Any]:
    """The value as a parameter: true and false by themselves are constants, which have no order."""
    return literal(value, column.type)
