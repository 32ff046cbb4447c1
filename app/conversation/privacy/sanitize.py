"""Input without harmful HTML, and transcripts in which no link works."""

from __future__ import annotations

import re
from typing import Any

import nh3

from app.endpoints import Endpoint

_MARKUP = re.compile(r"<[a-zA-Z/!?]")
_TAGS = re.compile(r"<(/?\s*(?:a|img)\b[^<>]*)>?", re.IGNORECASE)
_LINKS = re.compile(r"\b([a-z][a-z0-9+.-]{1,20})://", re.IGNORECASE)
_WWW = re.compile(r"\bwww\.", re.IGNORECASE)
_SCRIPTED = re.compile(r"\b(javascript|vbscript|data|mailto):", re.IGNORECASE)


def sanitized(value: Any) -> Any:
    """A JSON value whose texts hold no harmful HTML. A text without any tag stays as it is."""
    if isinstance(value, str):
        return nh3.clean(value) if _MARKUP.search(value) else value
    if isinstance(value, dict):
        return {key: sanitized(item) for key, item in value.items()}
    if isinstance(value, list):
        return [sanitized(item) for item in value]
    return value


def clean_input(endpoint: Endpoint, message: dict[str, Any]) -> dict[str, Any]:
    """A message without harmful HTML, where the endpoint wants that; else the very same."""
    if not endpoint.input_sanitization:
        return message
    parts = {name: sanitized(message.get(name)) for name in ("text", "payload", "data") if message.get(name)}
    return {**message, **parts}


def plain(value: Any) -> Any:
    """A JSON value in whose texts links and pictures are text that nothing renders."""
    if isinstance(value, str):
        text = _TAGS.sub(r"&lt;\1&gt;", value)
        text = _LINKS.sub(r"\1[://]", text)
        return _SCRIPTED.sub(r"\1[:]", _WWW.sub("www[.]", text))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
