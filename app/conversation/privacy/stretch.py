"""Private stretches of a dialog: what is said in them stays out of transcripts and analytics.

    async with chat.private():
        number = await chat.ask("Your card number?")

The journal needs it until the session ends; then all that the session's replays needed is erased.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from app.conversation.tape import Tape
from app.errors import BotError

#: Names of the notes that say so in a journal.
PRIVATE, DROP = "private", "drop"

Note = Callable[[str, dict[str, Any]], None]


class Private:
    """`async with chat.private():`"""

    __slots__ = ("_made", "_note", "_tape")

    def __init__(self, tape: Tape, note: Note, made: Callable[[], None]) -> None:
        self._tape = tape
        self._note = note
        self._made = made

    async def __aenter__(self) -> None:
        self._made()
        self._tape.private += 1
        self._note(PRIVATE, {})

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tape.private -= 1


class Analytics:
    """`chat.analytics`: what stays out of it."""

    __slots__ = ("_note",)

    def __init__(self, note: Note) -> None:
        self._note = note

    def drop(self, field: str) -> None:
        """Keep a field of the newest input out of transcript and analytics: text, payload or a key of data.

        Nothing to await. What the bot says of it is kept out by `chat.private()`.
        """
        if not isinstance(field, str) or not 0 < len(field) <= 200:
            raise BotError("chat.analytics.drop() takes the name of a field.")
        self._note(DROP, {"field": field})
