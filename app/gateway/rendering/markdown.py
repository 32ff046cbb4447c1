"""Markdown for channels: in WhatsApp's own marks, stripped everywhere else.

8x8 publishes no marks for its texts, so WebChat too gets them plain. A small, common part is understood:
headings, bold, italic, struck, code, links, pictures, lists, quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_FENCE = "```"
_CODE = re.compile(r"`([^`\n]+)`")
# With bounds, so that text that only looks like it takes no time that grows with its square.
_PICTURE = re.compile(r"!\[([^\[\]\n]{0,500})\]\(([^)\s]{1,2000})\)")
_LINK = re.compile(r"\[([^\[\]\n]{1,500})\]\(([^)\s]{1,2000})\)")
#: An address as it stands, without what more likely ends the sentence or is a mark.
_ADDRESS = re.compile(r"https?://[^\s<>]*[^\s<>*_~.,;:!?()\[\]'\"]")
_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*)$", re.M)
_RULE = re.compile(r"^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*$", re.M)
_BULLET = re.compile(r"^([ \t]*)[-*+][ \t]+", re.M)
_QUOTE = re.compile(r"^>[ \t]?", re.M)
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.{1,500}?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])")
_UNDERSCORED = re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)")
_STRUCK = re.compile(r"~~(?=\S)(.{1,500}?)(?<=\S)~~")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!~>-])")

#: Stand for what must not be changed any more, and for WhatsApp's bold until italics are done.
_HELD, _STRONG = "\ue000", "\ue001"
_HELD_AT = re.compile(rf"{_HELD}(\d+){_HELD}")


def plain(text: str) -> str:
    """The text without its marks; a link keeps its address."""
    return _change(text, bold="", italic="", struck="", code="", fence="")


def whatsapp(text: str) -> str:
    """The text with WhatsApp's marks: *bold*, _italic_, ~struck~, ```code```."""
    return _change(text, bold="*", italic="_", struck="~", code="`", fence="```")


def _change(text: str, *, bold: str, italic: str, struck: str, code: str, fence: str) -> str:
    held: list[str] = []

    def released(text: str) -> str:
        return _HELD_AT.sub(lambda match: held[int(match[1])], text)

    def hold(kept: str) -> str:
        held.append(released(kept))  # a link's name may hold code
        return f"{_HELD}{len(held) - 1}{_HELD}"

    text = text.replace(_HELD, "").replace(_STRONG, "")
    text = _fenced(text, lambda code: hold(f"{fence}{code}{fence}"))
    text = _CODE.sub(lambda match: hold(f"{code}{match[1]}{code}"), text)
    text = _ESCAPED.sub(lambda match: hold(match[1]), text)
    text = _PICTURE.sub(lambda match: hold(_named(match[1], match[2])), text)
    text = _LINK.sub(lambda match: hold(_named(match[1], match[2])), text)
    text = _ADDRESS.sub(lambda match: hold(match[0]), text)
    text = _RULE.sub("", text)
    strong = _STRONG if bold else ""
    text = _HEADING.sub(lambda match: f"{strong}{_heading(match[1])}{strong}", text)
    text = _QUOTE.sub("> " if bold else "", text)
    text = _BULLET.sub(r"\1• ", text)
    text = _BOLD.sub(rf"{_STRONG}\2{_STRONG}", text)
    text = _ITALIC.sub(rf"{italic}\1{italic}", text)
    text = _UNDERSCORED.sub(rf"{italic}\1{italic}", text)
    text = _STRUCK.sub(rf"{struck}\1{struck}", text)
    text = text.replace(_STRONG + _STRONG, _STRONG).replace(_STRONG, bold)
    return released(text).strip()


def _fenced(text: str, change: Callable[[str], str]) -> str:
    """The text with each block of code changed: from a line that begins with ``` to one that ends so."""
    lines = text.split("\n")
    ends = [number for number, line in enumerate(lines) if line.rstrip(" \t").endswith(_FENCE)]
    made: list[str] = []
    at = nth = 0
    while at < len(lines):
        while nth < len(ends) and ends[nth] <= at:
            nth += 1
        if nth < len(ends) and lines[at].startswith(_FENCE):
            end = ends[nth]
            last = lines[end].rstrip(" \t").removesuffix(_FENCE)
            made.append(change("\n".join([*lines[at + 1 : end], last]).removesuffix("\n")))
            at = end + 1
        else:
            made.append(lines[at])
            at += 1
    return "\n".join(made)


def _heading(text: str) -> str:
    """A heading without the marks that may close it: these stand apart, as in `# C# #`."""
    text = text.rstrip()
    bare = text.rstrip("#")
    return bare.rstrip() if bare.endswith((" ", "\t")) else text


def _named(name: str, url: str) -> str:
    return url if not name or name == url else f"{name} ({url})"
