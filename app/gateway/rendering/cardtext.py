"""An Adaptive Card as lines of text, for channels that show none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 20
_NESTED = ("body", "items", "columns", "rows", "cells", "images", "inlines", "actions")


def card_lines(card: Mapping[str, Any]) -> list[str]:
    """Its `fallbackText` where it has one; else its texts, facts and links in order."""
    told = card.get("fallbackText")
    if isinstance(told, str) and told.strip():
        return [told]
    return _lines(card, 0)


def _lines(element: Mapping[str, Any], depth: int) -> list[str]:
    if depth > DEEPEST or element.get("isVisible") is False:
        return []
    kind = str(element.get("type") or "")
    lines = _own(kind, element)
    if kind == "RichTextBlock":
        inlines = element.get("inlines")
        parts = inlines if isinstance(inlines, list) else []
        text = "".join(part if isinstance(part, str) else _text(part, "text") for part in parts)
        return [text] if text.strip() else []
    for name in _NESTED:
        inner = element.get(name)
        for item in inner if isinstance(inner, list) else []:
            if isinstance(item, Mapping):
                lines += _lines(item, depth + 1)
    return lines


def _own(kind: str, element: Mapping[str, Any]) -> list[str]:
    if kind == "TextBlock":
        return [text] if (text := _text(element, "text").strip()) else []
    if kind in ("Image", "Media"):
        return [text] if (text := _text(element, "altText").strip()) else []
    if kind == "FactSet":
        facts = element.get("facts")
        pairs = [fact for fact in facts if isinstance(fact, Mapping)] if isinstance(facts, list) else []
        return [f"{_text(fact, 'title')}: {_text(fact, 'value')}" for fact in pairs]
    if kind.startswith("Input."):
        return [text] if (text := (_text(element, "label") or _text(element, "placeholder")).strip()) else []
    if kind == "Action.OpenUrl":
        title, url = _text(element, "title"), _text(element, "url")
        return [f"{title}: {url}" if title else url] if url else []
    return []


def _text(element: object, name: str) -> str:
    value = element.get(name) if isinstance(element, Mapping) else None
    return value if isinstance(value, str) else ""
