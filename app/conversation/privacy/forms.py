"""The forms in which a text turns up in others: as it is, a line, a number or an address of it, escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

#: Shorter parts of a text are in too many others.
SHORTEST = 4
#: Longer texts are put into no URL.
LONGEST_IN_URL = 2000

_NUMBER = re.compile(r"\d(?:[\s().\-/]{0,2}\d){3,}")
_WORD = re.compile(r"[^\s,;:!?\"'<>()\[\]{}]{4,}")
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")


def forms(value: str) -> Iterator[str]:
    """What to look for, so that a text is found. Its own case does not matter."""
    text = value.strip()
    if not text:
        return
    yield from _escaped(text)
    lines = text.splitlines()
    for line in (each.strip() for each in lines) if len(lines) > 1 else ():
        if len(line) >= SHORTEST:
            yield from _escaped(line)
    for number in _NUMBER.findall(text):
        yield number
        yield "".join(filter(str.isdigit, number))
    for word in _WORD.findall(text):
        if "@" in word or any(map(str.isdigit, word)):
            yield word.rstrip(".")


def _escaped(text: str) -> Iterator[str]:
    """A text as it is, and as it is written in Python, in JSON and in a URL."""
    yield text
    if not _PLAIN.fullmatch(text):
        yield repr(text)[1:-1]
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        if len(text) <= LONGEST_IN_URL:
            yield quote(text)
            yield quote_plus(text)
