"""Rows whose texts are encrypted before they are written (`encrypt`), and read back."""

from __future__ import annotations

from typing import Any

from app.conversation.changes import Changes, Row
from app.errors import ConfigurationError
from app.sealing import Sealer, sealer, unseal

#: What SQL looks at in a delivery's content.
_FLAGS = ("during_handover", "handover")
#: What a handover's settings still say once their texts are erased.
_HANDOVER_FLAGS = ("returns", "private", "shown")
#: Where a sealed entry's content has its name.
_NAME = "sealed_name"


def seal_changes(changes: Changes) -> None:
    """Encrypt what a transaction writes for replays. Memory keeps the clear values."""
    box = sealer()
    changes.seal_contact = True
    for row in changes.journal:
        _journal(box, row)
    for row in changes.deliveries:
        row["content"] = _delivery(box, row["content"])
    for row in (*changes.sessions, *changes.session_updates):
        _seal(box, row, "data", "storage")
    for row in changes.dialogs:
        _seal(box, row, "session_data", "contact_data")
    for row in changes.handovers:
        settings = row["settings"]
        flags = {name: settings[name] for name in _HANDOVER_FLAGS if name in settings}
        row["settings"] = {**box.seal(settings), **flags}
    for echo in changes.confirmed:
        echo["text"] = box.digest(" ".join((echo["text"] or "").split()))


def _journal(box: Sealer, row: Row) -> None:
    """A bot may name its steps after what a user said: names of steps are sealed too."""
    content = row["content"]
    if row["kind"] in ("step", "result") and row["name"] is not None:
        content, row["name"] = {**content, _NAME: row["name"]}, "sealed"
    row["content"] = box.seal(content)


def opened_entry(name: str | None, content: Any) -> tuple[str | None, dict[str, Any]]:
    """Name and content of a journal's entry as they were."""
    opened: dict[str, Any] = unseal(content)
    if opened is not content and _NAME in opened:
        return opened.pop(_NAME), opened
    return name, opened


def _seal(box: Sealer, row: Row, *columns: str) -> None:
    for column in columns:
        if row.get(column):
            row[column] = box.seal(row[column])


def _delivery(box: Sealer, content: Row) -> Row:
    """The flags stay, and a digest of the text: by it an echo is told to be this message."""
    flags = {name: content[name] for name in _FLAGS if name in content}
    text = " ".join((content.get("text") or "").split())
    return {**box.seal(content), **flags, "text": box.digest(text)}


def comparable(text: str, sent: list[str]) -> str:
    """A text as it is compared with those that were sent: as a digest where they are kept so."""
    if any(each.startswith("hmac:") for each in sent):
        return sealer().digest(" ".join(text.split()))
    return text


def readable(value: Any) -> Any:
    """For people's eyes: opened where this process has the key, else as it is stored."""
    try:
        if isinstance(value, dict):
            opened = unseal(value)
            return {name: readable(item) for name, item in opened.items()} if opened is value else opened
    except ConfigurationError:
        return value
    return value
