"""The `filter` of lists: a subset of FIQL (`==`, `!=`, `;` and, `,` or, parentheses, `*` wildcards)."""

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from app.sandbox.model import JsonObject
from app.sandbox.rest.problems import general

T = TypeVar("T")
Test = Callable[[JsonObject], bool]
_COMPARISON = re.compile(r"([A-Za-z][\w.]*)(==|!=)([^;,()]*)")
MAX_LENGTH = 1000


def chosen(items: Sequence[T], render: Callable[[T], JsonObject], given: str | None) -> list[T]:
    """The items whose shown form passes the filter; all without one. Raises Problem (400)."""
    if not given:
        return list(items)
    test = parse(given)
    return [item for item in items if test(render(item))]


def parse(given: str) -> Test:
    """The filter as a function of a shown resource. Raises Problem (400) where it can't be read."""
    if len(given) > MAX_LENGTH:
        raise _unreadable(given)
    test, rest = _either(given, given)
    if rest:
        raise _unreadable(given)
    return test


def _unreadable(given: str) -> Exception:
    return general(400, f"The filter {given[:100]} can't be read", "invalid_filter")


def _either(text: str, given: str) -> tuple[Test, str]:
    first, rest = _both(text, given)
    tests = [first]
    while rest.startswith(","):
        test, rest = _both(rest[1:], given)
        tests.append(test)
    return (lambda shown: any(test(shown) for test in tests)), rest


def _both(text: str, given: str) -> tuple[Test, str]:
    first, rest = _one(text, given)
    tests = [first]
    while rest.startswith(";"):
        test, rest = _one(rest[1:], given)
        tests.append(test)
    return (lambda shown: all(test(shown) for test in tests)), rest


def _one(text: str, given: str) -> tuple[Test, str]:
    if text.startswith("("):
        if len(text) - len(text.lstrip("(")) > 20:
            raise _unreadable(given)
        test, rest = _either(text[1:], given)
        if not rest.startswith(")"):
            raise _unreadable(given)
        return test, rest[1:]
    match = _COMPARISON.match(text)
    if match is None:
        raise _unreadable(given)
    field, operator, wanted = match.groups()
    return (lambda shown: _equals(shown, field, wanted) is (operator == "==")), text[match.end() :]


def _equals(shown: JsonObject, field: str, wanted: str) -> bool:
    value: object = shown
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value is not None and fnmatch.fnmatchcase(str(value), wanted)
