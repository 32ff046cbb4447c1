"""Markdown for channels: in WhatsApp's own marks, stripped everywhere else.

8x8 publishes no marks for its texts, so WebChat too gets them plain. A small, common part is understood:
headings, bold, italic, struck, code, links, pictures, lists, quotes.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"^```[^\n]*\n(.*?)\n?```[ \t]*$", re.M | re.S)
_CODE = re.compile(r"`([^`\n]+)`")
# With bounds, so that text that only looks like it takes no time that grows with its square.
_PICTURE = re.compile(r"!\[([^\[\]\n]{0,500})\]\(([^)\s]{1,2000})\)")
_LINK = re.compile(r"\[([^\[\]\n]{1,500})\]\(([^)\s]{1,2000})\)")
#: An address as it stands, without what more likely ends the sentence or is a mark.
_ADDRESS = re.compile(r"https?://[^\s<>]*[^\s<>*_~.,;:!?()\[\]'\"]")
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.M)
_RULE = re.compile(r"^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*$", re.M)
_BULLET = re.compile(r"^([ \t]*)[-*+][ \t]+", re.M)
_QUOTE = re.compile(r"^>[ \t]?", re.M)
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])")
_UNDERSCORED = re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)")
_STRUCK = re.compile(r"~~(?=\S)(.+?)(?<=\S)~~")
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
    text = _FENCE.sub(lambda match: hold(f"{fence}{match[1]}{fence}"), text)
    text = _CODE.sub(lambda match: hold(f"{code}{match[1]}{code}"), text)
    text = _ESCAPED.sub(lambda match: hold(match[1]), text)
    text = _PICTURE.sub(lambda match: hold(_named(match[1], match[2])), text)
    text = _LINK.sub(lambda match: hold(_named(match[1], match[2])), text)
    text = _ADDRESS.sub(lambda match: hold(match[0]), text)
    text = _RULE.sub("", text)
    text = _HEADING.sub(rf"{_STRONG}\1{_STRONG}" if bold else r"\1", text)
    text = _QUOTE.sub("> " if bold else "", text)
    text = _BULLET.sub(r"\1• ", text)
    text = _BOLD.sub(rf"{_STRONG}\2{_STRONG}", text)
    text = _ITALIC.sub(rf"{italic}\1{italic}", text)
    text = _UNDERSCORED.sub(rf"{italic}\1{italic}", text)
    text = _STRUCK.sub(rf"{struck}\1{struck}", text)
    text = text.replace(_STRONG + _STRONG, _STRONG).replace(_STRONG, bold)
    return released(text).strip()


def _named(name: str, url: str) -> str:
    return url if not name or name == url else f"{name} ({url})"
