"""What kind of file it is, by its bytes: what the sender says of it is not to be trusted."""

from __future__ import annotations

import codecs
import json

import puremagic

_ZIP = b"PK\x03\x04"

UNKNOWN = "application/octet-stream"

#: Media types of text that are told apart by name alone: they are as harmless as text.
_TEXTS = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".md": "text/markdown",
    ".ics": "text/calendar",
}


def sniff(head: bytes, name: str | None = None) -> str:
    """The media type of a file that begins with `head`; its name decides between what the bytes allow."""
    try:
        found = [match for match in puremagic.magic_string(head, filename=name) if match.byte_match]
    except (puremagic.PureError, ValueError):
        found = []
    best = max(found, key=lambda match: match.confidence, default=None)
    if head.startswith(_ZIP) and (best is None or best.confidence < 0.9):
        return "application/zip"  # it may be a document of some kind, but nothing says of which
    if best is not None and best.mime_type and best.confidence >= 0.4:
        return str(best.mime_type).lower()
    if _is_text(head):
        suffix = "." + (name or "").rpartition(".")[2].lower()
        return "application/json" if _is_json(head) else _TEXTS.get(suffix, "text/plain")
    return str(best.mime_type).lower() if best is not None and best.mime_type else UNKNOWN


def _is_text(head: bytes) -> bool:
    """Whether this is UTF-8 without control characters; a character may be cut off at the end."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not any(char < " " and char not in "\t\r\n\f" for char in text)


def _is_json(head: bytes) -> bool:
    if not head.lstrip().startswith((b"{", b"[")):
        return False
    try:
        json.loads(head)
    except ValueError:
        return False
    return True
