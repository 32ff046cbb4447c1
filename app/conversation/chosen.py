"""A numbered answer ("2", "2.", "#2") taken as the choice that was shown with that number.

Where a channel shows choices as numbered lines, a user answers with a number. The journal gets the choice, as
if it had been clicked, so that every replay sees the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.conversation.journal import Entry, is_said
from app.gateway.meaning import ACTIVITY
from app.gateway.rendering import choices, is_numbered

_NUMBER = re.compile(r"#?\s*([0-9]{1,3})\s*[.)]?")

#: Entries after which an earlier question is no longer open; an activity answers none.
_ANSWERED = frozenset({"input", "timeout", "outcome", "handover"})


def _answers(entry: Entry) -> bool:
    passed_over = entry.kind == "input" and entry.content["message"].get("kind") == ACTIVITY
    return entry.kind in _ANSWERED and not passed_over


def as_choice(message: dict[str, Any], entries: Sequence[Entry], channel: str | None) -> dict[str, Any]:
    """The message as the bot gets it: the choice it stands for, else itself.

    `entries`: the dialog's journal before the message; of a new one, what the dialog before said at last.
    The last output with choices counts, of those said since the user's last input. A choice whose very title
    is that number comes first.
    """
    if message.get("kind") != "text" or message.get("attachments") or not is_numbered(channel):
        return message
    written = str(message.get("text") or "").strip()
    match = _NUMBER.fullmatch(written)
    if match is None:
        return message
    offered = _offered(entries)
    number = int(match[1])
    choice = next((each for each in offered if each["title"].strip() == written), None)
    if choice is None and 1 <= number <= len(offered):
        choice = offered[number - 1]
    if choice is None:
        return message
    if "submit" in choice:  # a button of the bot's own card
        submit = choice["submit"]
        return {**message, "kind": "card", "text": "", "payload": submit["type"], "data": submit["data"]}
    data = {**choice, "written": written}
    return {
        **message,
        "kind": "quick_reply",
        "text": choice["title"],
        "payload": choice["payload"],
        "data": data,
    }


def last_turn(entries: Sequence[Entry]) -> list[Entry]:
    """What was said after the last input, of a dialog that has ended: its choices are still there to see."""
    said: list[Entry] = []
    for entry in reversed(entries):
        if _answers(entry):
            break
        if is_said(entry):
            said.append(entry)
    return said[::-1]


def _offered(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    for entry in reversed(entries):
        if _answers(entry):
            break
        if is_said(entry) and (found := choices(entry.content)):
            return found
    return []
