"""Long texts as several, split where a reader would pause."""

from __future__ import annotations

import re

#: Where a text may be parted, the best first: the end of a paragraph, a line, a sentence, a word.
_ENDS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?…])[\"')\]»”’]?\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)
#: A paragraph's or a line's end is only taken this far into what fits; else a sentence's end comes first.
_FAR_ENOUGH = 0.5


_JOINER = "\u200d"
#: What goes on with the sign before it: joiners, variants, colours of skin, accents. A flag has two halves.
_JOINED = re.compile(
    "[\u0300-\u036f\u200d\u20d0-\u20ff\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_LONGEST_SIGN = 40


def split(text: str, limit: int) -> list[str]:
    """Parts of at most `limit` characters, in order; nothing but space at the seams is lost."""
    if len(text) <= limit:
        return [text]
    parts: list[str] = []
    rest = text
    while len(rest) > limit:
        cut = _cut(rest, limit)
        part = rest[:cut].rstrip()
        rest = rest[cut:].lstrip()
        if part:
            parts.append(part)
    if rest and not rest.isspace():
        parts.append(rest.rstrip())
    return parts or [text]


def _cut(text: str, limit: int) -> int:
    """Where the first part ends."""
    window = text[: limit + 1]
    for ends, least in zip(_ENDS, (_FAR_ENOUGH, _FAR_ENOUGH, 0.0, 0.0), strict=True):
        found = [match for match in ends.finditer(window) if 0 < _end(match) <= limit]
        if found and _end(found[-1]) >= limit * least:
            return _end(found[-1])
    return _between_signs(text, limit)


def _between_signs(text: str, cut: int) -> int:
    """The last place up to `cut` that is not within a sign of several characters, such as a flag."""
    for place in range(cut, max(cut - _LONGEST_SIGN, 0), -1):
        if _JOINED.match(text, place) or text[place - 1] == _JOINER:
            continue
        halves = place - len(text[:place].rstrip(_HALVES)) if text[place] in _HALVES else 0
        if halves % 2 == 0:
            return place
    return cut


def _end(match: re.Match[str]) -> int:
    """Where the text before the space ends, closing marks included."""
    return match.start() + len(match.group().rstrip())
