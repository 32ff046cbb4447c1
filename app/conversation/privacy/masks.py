"""Asterisks instead of values, and the texts that must not be seen in other texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"

#: Shorter values are masked only where they stand alone: "a" is in every second word.
_ALONE = 4


def masked(value: Any) -> Any:
    """A JSON value of the same shape in which every text and number is asterisks."""
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value if value is None or isinstance(value, bool) else MASK


def leaves(value: Any) -> Iterable[str]:
    """Every text and number in a JSON value, as text."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Finds these texts in others, the longest first; None where there is nothing to find."""
    wanted = sorted({each.strip() for each in secrets if each.strip()}, key=len, reverse=True)
    if not wanted:
        return None
    parts = [
        re.escape(each) if len(each) >= _ALONE else rf"(?<!\w){re.escape(each)}(?!\w)" for each in wanted
    ]
    return re.compile("|".join(parts), re.IGNORECASE)


def scrubbed(value: Any, secrets: re.Pattern[str] | None) -> Any:
    """A JSON value in which what the pattern finds is asterisks."""
    if secrets is None:
        return value
    if isinstance(value, str):
        return secrets.sub(MASK, value)
    if isinstance(value, Mapping):
        return {key: scrubbed(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item, secrets) for item in value]
    return value
