"""What a path below the service's root names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column
from sqlalchemy.types import BigInteger, DateTime, Uuid

from app.analytics.views import VIEWS, Link, View
from app.odata.errors import bad, not_found

_SEGMENT = re.compile(r"(?P<name>[A-Za-z]+)(?:\((?P<key>.*)\))?")
_PART = re.compile(r"\s*(?:(?P<name>\w+)\s*=\s*)?(?P<value>'(?:[^']|'')*'|[^',()]+)\s*(?:,|$)")


@dataclass(frozen=True)
class Path:
    """A set, or an entity of it by key, or what an entity links to. `count`: only how many."""

    view: View
    key: tuple[Any, ...] | None = None
    link: tuple[str, Link] | None = None
    count: bool = False


def read_path(path: str) -> Path:
    """The path's meaning. Raises ODataError for what isn't there."""
    segments = [segment for segment in path.strip("/").split("/") if segment]
    count = segments[-1:] == ["$count"]
    if count:
        segments.pop()
    if not 1 <= len(segments) <= 2:
        raise not_found("There is no such resource")
    match = _SEGMENT.fullmatch(segments[0])
    view = VIEWS.get(match["name"]) if match else None
    if match is None or view is None:
        raise not_found("There is no such entity set")
    key = None if match["key"] is None else _key(view, match["key"])
    if len(segments) == 1:
        if count and key is not None:
            raise not_found("An entity has no count")
        return Path(view, key, count=count)
    link = view.links.get(segments[1])
    if key is None or link is None:
        raise not_found(f"{view.name} has no such relation")
    if count and not link.many:
        raise not_found("An entity has no count")
    return Path(view, key, (segments[1], link), count)


def _key(view: View, text: str) -> tuple[Any, ...]:
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _PART.match(text, place)
        if match is None:
            raise bad("The key is not understood")
        found[match["name"] or (view.key[0] if len(view.key) == 1 else "")] = match["value"]
        place = match.end()
    if set(found) != set(view.key):
        raise bad(f"The key of {view.name} is {', '.join(view.key)}")
    return tuple(_value(view.table.c[name], found[name].strip()) for name in view.key)


def _value(column: Column[Any], text: str) -> Any:
    try:
        if isinstance(column.type, BigInteger):
            number = int(text)
            if abs(number) >= 2**63:
                raise ValueError
            return number
        if isinstance(column.type, DateTime):
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                raise ValueError
            return at
        if isinstance(column.type, Uuid):
            return UUID(text)
        if not (len(text) >= 2 and text[0] == text[-1] == "'"):
            raise ValueError
        return text[1:-1].replace("''", "'")
    except ValueError:
        raise bad(f"The key's {column.name} is not understood") from None
