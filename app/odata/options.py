"""The query options of a URL, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlalchemy.sql.visitors import iterate

from app.analytics.views import View
from app.odata.errors import bad, not_implemented
from app.odata.filters import condition, earliest

#: Rows of a page, unless the client prefers less; it never gets more.
PAGE = 500

_KNOWN = {"$filter", "$select", "$orderby", "$top", "$skip", "$count", "$expand", "$skiptoken", "$format"}
_OTHER = {"$search", "$apply", "$compute", "$levels", "$index", "$schemaversion", "$deltatoken"}


@dataclass(frozen=True)
class Options:
    """What is asked for. `order` are columns with True where they descend, the key always last."""

    select: tuple[str, ...]
    selected: bool
    order: tuple[tuple[str, bool], ...]
    where: ColumnElement[bool] | None = None
    top: int | None = None
    skip: int = 0
    count: bool = False
    expand: tuple[str, ...] = ()
    token: str | None = None
    since: datetime | None = None
    """Rows come in order of time, and their view has them by spans of it: of none of them it is earlier."""


def read_options(view: View, given: Mapping[str, Sequence[str]]) -> Options:
    """Options from a URL's parameters. Raises ODataError for what is wrong or not offered."""
    values = _named(given)
    if values.get("$format", "json") not in ("json", "application/json") and not values["$format"].startswith(
        "application/json;"
    ):
        raise not_implemented("$format: only json is offered")
    options = Options(
        select=tuple(view.table.c.keys()), selected=False, order=_order(view, values.get("$orderby"))
    )
    if "$select" in values:
        options = replace(options, select=_select(view, values["$select"]), selected=True)
    if "$filter" in values:
        options = replace(options, where=condition(view.table, values["$filter"]))
        if "$orderby" not in values:
            options = _in_time(view, options)
    if "$expand" in values:
        options = replace(options, expand=_expand(view, values["$expand"]))
    return replace(
        options,
        top=_number(values, "$top"),
        skip=_number(values, "$skip") or 0,
        count=_flag(values.get("$count", "false")),
        token=values.get("$skiptoken"),
    )


def _named(given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """System options by name, with or without `$` as 4.01 has it; each once."""
    values: dict[str, str] = {}
    for name, found in given.items():
        option = name.lower() if name.startswith("$") else f"${name.lower()}"
        if option in _OTHER:
            raise not_implemented(f"{option} is not offered")
        if option not in _KNOWN:
            if name.startswith("$"):
                raise bad(f"{name} is no query option")
            continue
        if len(found) > 1 or option in values:
            raise bad(f"{option} is given more than once")
        values[option] = found[0]
    return values


def _select(view: View, text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    if "*" in names:
        return tuple(view.table.c.keys())
    for name in names:
        if name not in view.table.c and name not in view.links:
            raise bad(f"$select: {view.name} has no {name[:100]}")
    return tuple(dict.fromkeys(name for name in names if name in view.table.c))


def _order(view: View, text: str | None) -> tuple[tuple[str, bool], ...]:
    order: dict[str, bool] = {}
    for part in (text or "").split(","):
        words = part.split()
        if not words:
            continue
        if words[0] not in view.table.c or len(words) > 2 or (words[1:] or ["asc"])[0] not in ("asc", "desc"):
            raise bad("$orderby takes properties with asc or desc, separated by commas")
        order.setdefault(words[0], words[1:] == ["desc"])
    descending = next(iter(order.values()), False)
    for name in view.key:
        order.setdefault(name, descending)
    return tuple(order.items())


def _in_time(view: View, options: Options) -> Options:
    """In order of time where it is asked for: in the key's, all rows before would be read for nothing."""
    if options.where is None or view.at is None:
        return options
    if view.in_time and any(element is view.table.c[view.at] for element in iterate(options.where)):
        return replace(options, order=_order(view, view.at))
    if view.in_spans and (since := earliest(options.where, view.table.c[view.at])) is not None:
        return replace(options, order=_order(view, view.at), since=since)
    return options


def _expand(view: View, text: str) -> tuple[str, ...]:
    if "(" in text or "/" in text or "*" in text:
        raise not_implemented("$expand takes relations by name, without options, and goes one level deep")
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in view.links:
            raise bad(f"$expand: {view.name} has no relation {name[:100]}")
    return names


def _number(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise bad(f"{name} is a number from 0")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise bad("$count is true or false")
    return text == "true"
