"""What a bot says about a turn for those who measure: understood or not, an intent, a goal reached.

A mark is a note in the journal, so that a replay skips it, and a row of the table `mark`. It changes nothing
that a user sees, and a bot whose marks were changed still fits its journals.
"""

from __future__ import annotations

from typing import Any

from app.conversation.jsonvalue import unstorable
from app.errors import BotError

#: Names of the notes that are marks.
MARKS = frozenset({"understood", "intent", "goal"})

#: Characters of an intent's or a goal's name.
LONGEST = 200


def understood(value: bool) -> dict[str, Any]:
    """The note of `chat.understood`. Raises BotError for anything but a bool."""
    if not isinstance(value, bool):
        raise BotError("chat.understood() takes True or False.")
    return {"value": "true" if value else "false"}


def named(kind: str, name: str) -> dict[str, Any]:
    """The note of `chat.intent` and `chat.goal`. Raises BotError for what is no name."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST or unstorable(name):
        raise BotError(f"chat.{kind}() takes a name of 1 to {LONGEST} characters.")
    return {"value": name}
