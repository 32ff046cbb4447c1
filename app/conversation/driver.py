"""Drives a bot by hand over its journal: no event loop, no database, no waiting.

    driver = Driver(bot, start, entries, now=clock)
    driver.feed(Entry("input", None, {"message": …}, at))
    need = driver.run()               # replays the journal, goes on until it needs something
    new = driver.drain()              # what the bot did: to be stored before anything else happens

A fresh Driver over the stored entries comes to the same state as one that lived through them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from app.conversation import where
from app.conversation.chat import Chat
from app.conversation.closing import close_coroutine
from app.conversation.content import CARD_VERSION
from app.conversation.isolation import Isolation
from app.conversation.journal import FED, Entry
from app.conversation.jsonvalue import check_json, copy_json, keep_json
from app.conversation.needs import Diverged, Failed, Finished, Need, ReadFile, StoreFiles
from app.conversation.tape import Tape, described
from app.errors import BotError

Bot = Callable[[Chat], Coroutine[Any, Any, Any]]

#: Modules that say "no running event loop" and the like when a bot awaits something of theirs.
_ASYNC_LIBRARIES = frozenset({"asyncio", "anyio", "sniffio", "trio"})

_RETURNED = object()


@dataclass(frozen=True, slots=True)
class DialogStart:
    """How a dialog began. `dialog_key` is unique for the dialog; step keys are made of it.

    `session` and `contact` are chat.session and chat.contact as they were when it began.
    """

    dialog_key: str
    seed: int
    started_at: datetime
    session: Mapping[str, Any] = field(default_factory=dict)
    contact: Mapping[str, Any] = field(default_factory=dict)
    card_version: str = CARD_VERSION
    """What Adaptive Cards may need at most."""


class Driver:
    """One dialog in memory. Close it when done, or use it in a `with` block.

    `now` stamps new entries; `max_outputs` is how much a bot may say in one turn, `max_entries` how long its
    journal may get. `strict` makes it an error that a replayed output or handover differs from the journal's.
    """

    def __init__(
        self,
        bot: Bot,
        start: DialogStart,
        entries: Sequence[Entry],
        *,
        now: Callable[[], datetime],
        max_outputs: int = 50,
        max_entries: int = 10_000,
        strict: bool = False,
    ) -> None:
        self._bot = bot
        self._tape = Tape(
            entries,
            dialog_key=start.dialog_key,
            started_at=start.started_at,
            now=now,
            max_outputs=max_outputs,
            max_entries=max_entries,
            strict=strict,
        )
        self._chat = Chat(
            self._tape,
            seed=start.seed,
            session=start.session,
            contact=start.contact,
            card_version=start.card_version,
        )
        self._session: dict[str, Any] = copy_json(start.session)
        self._isolation = Isolation(self._refused)
        self._violation: Failed | None = None
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._end: Finished | Failed | Diverged | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        """The whole journal: stored, fed and new. Not to be changed."""
        return self._tape.entries

    @property
    def session(self) -> dict[str, Any]:
        """chat.session as it was when `run` returned, as JSON.

        After a failure, those of its values that can be kept; after a divergence, as the dialog began.
        """
        return self._session

    def feed(self, entry: Entry) -> None:
        """Append what has happened: an input, timeout, result, outcome or note."""
        if entry.kind not in FED:
            raise ValueError(f"An entry of kind {entry.kind} is made by the bot, not fed to it.")
        self._tape.entries.append(entry)

    @property
    def files(self) -> dict[str, bytes]:
        """The bytes of files that were provided."""
        return dict(self._tape.files)

    def provide(self, key: str, content: bytes) -> None:
        """Give the bytes of a file that the bot reads: what `ReadFile` asked for."""
        self._tape.files[key] = content
        if isinstance(self._tape.need, ReadFile):
            self._tape.need = None

    def attach(self, kept: Mapping[str, Any]) -> None:
        """Tell what became of the files that `StoreFiles` asked to be kept."""
        need = self._tape.need
        if not isinstance(need, StoreFiles):
            raise ValueError("No files are to be kept.")
        self._tape.kept[need.position] = dict(kept)
        self._tape.need = None

    def drain(self) -> list[tuple[int, Entry]]:
        """What the bot did since the last drain, with positions: output, step and handover entries."""
        produced = self._tape.produced
        self._tape.produced = []
        return produced

    def run(self) -> Need:
        """Go on until something is needed. Called again with nothing fed, it returns the same need."""
        if self._end is None and self._tape.closed:
            raise RuntimeError("The driver is closed.")
        if self._end is not None:
            return self._end
        need = self._advance()
        if isinstance(need, Finished | Failed | Diverged):
            self._end = need
            if isinstance(need, Failed):
                self._session = keep_json(self._chat.session)
            self.close()
        return need

    def close(self) -> None:
        """End the bot's coroutine where it stands. Never awaits, never raises what the bot raises."""
        self._tape.closed = True
        if self._coroutine is not None:
            holder, self._coroutine = [self._coroutine], None
            self._isolation.run(lambda: close_coroutine(holder, self._bot))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _advance(self) -> Need:
        """One stretch of the bot's code, from where it stands to its next need."""
        tape = self._tape
        if tape.need is not None and tape.upcoming() is None:
            return tape.need
        tape.need = None
        try:
            yielded = self._isolation.run(self._send)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return self._raised(error)
        if self._violation is not None:
            return self._violation
        if yielded is _RETURNED:
            return self._returned()
        if yielded is not tape:
            return self._awaits_foreign(yielded)
        assert tape.need is not None
        return self._checked(tape.need)

    def _send(self) -> object:
        """Start the bot, or send it on; what it yields, or _RETURNED."""
        if self._coroutine is None:
            if not self._chat._begin():
                return self._tape
            made: object = self._bot(self._chat)
            if not isinstance(made, Coroutine):
                raise BotError(
                    f"A bot is an async function of one Chat; this one gave a {type(made).__name__}."
                )
            self._coroutine = made
        try:
            return self._coroutine.send(None)
        except StopIteration:
            return _RETURNED

    def _returned(self) -> Need:
        left = self._tape.upcoming()
        if left is not None:
            return Diverged(f"the bot ends where the journal has {described(left)}", self._tape.place)
        return self._checked(Finished())

    def _raised(self, error: BaseException) -> Need:
        if self._violation is not None:
            return self._violation
        place = where.raised_at(error, self._bot)
        left = self._tape.upcoming()
        if left is not None:
            name = type(error).__name__
            return Diverged(
                f"the bot raises {name} at {place} where the journal has {described(left)}", self._tape.place
            )
        library = where.raised_in(error)
        if isinstance(error, RuntimeError) and library.partition(".")[0] in _ASYNC_LIBRARIES:
            error = _foreign(library, place)
        return Failed(error, place)

    def _awaits_foreign(self, yielded: object) -> Failed:
        what, place = where.awaited(self._coroutine, self._bot)
        return Failed(_foreign(what or f"a {type(yielded).__name__}", place), place)

    def _refused(self, attribute: str) -> BotError:
        """The bot reached for the event loop. It may catch the error, but not escape it."""
        what, place = where.called(sys._getframe(), self._bot)
        error = _foreign(what or f"the event loop ({attribute})", place)
        if self._violation is None and not self._tape.closed:
            self._violation = Failed(error, place)
        return error

    def _checked(self, need: Need) -> Need:
        """The need, unless the turn ends with something that can't be kept."""
        if isinstance(need, Diverged):
            return need
        problem = need.error if isinstance(need, Failed) else None
        if problem is None and self._chat._unawaited():
            problem = BotError("A chat call was made but not awaited: write `await` before each.")
        if problem is None:
            try:
                self._session = check_json(self._chat.session, "chat.session")
            except BotError as error:
                problem = error
        if problem is None:
            return need
        return Failed(problem, where.awaited(self._coroutine, self._bot)[1])


def _foreign(what: str, place: str) -> BotError:
    return BotError(f"The bot awaits {what} at {place}. A bot awaits only Chat: wrap it in chat.step.")
