"""A bot's journal while it is played: first what is stored, then what is new.

Chat moves along the tape. Each of its methods either gets what it asked for (stored long ago or a moment
ago: the tape makes no difference, which is why a replay equals the first run) or gets None, and then `need`
says what the tape must be given before the bot can go on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from app.conversation.file import File
from app.conversation.journal import Entry
from app.conversation.marks import MARKS
from app.conversation.needs import (
    Diverged,
    Failed,
    Finished,
    Handover,
    Need,
    ReadFile,
    Receive,
    StepCall,
    StepSpec,
    StoreFiles,
)
from app.conversation.params import step_name
from app.errors import BotError


class Tape:
    """The entries of one dialog and how far the bot has come.

    `strict` also compares what is said again with what was said: for tests of bots.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        dialog_key: str,
        started_at: datetime,
        now: Callable[[], datetime],
        max_outputs: int,
        max_entries: int,
        strict: bool,
    ) -> None:
        self.entries = list(entries)
        self.place = 0
        self.at = started_at
        self.stored = len(self.entries)
        self.produced: list[tuple[int, Entry]] = []
        self.need: Need | None = None
        self.closed = False
        self.files: dict[str, bytes] = {}
        """What files say that the bot has read; given from outside, at every replay."""
        self.kept: dict[int, dict[str, Any]] = {}
        """What became of files that the bot says at these positions: see StoreFiles."""
        self.private = 0
        """How many private stretches the bot is in, one within the other."""
        self._dialog_key = dialog_key
        self._now = now
        self._max_outputs = max_outputs
        self._max_entries = max_entries
        self._strict = strict
        self._outputs = 0

    def upcoming(self) -> Entry | None:
        """The next entry that is not a note; None at the end of the tape."""
        entries = self.entries
        while self.place < len(entries):
            entry = entries[self.place]
            if entry.kind != "note":
                return entry
            self.place += 1
        return None

    def say(self, content: dict[str, Any]) -> int | None:
        """An output's position."""
        if self._outputs >= self._max_outputs and self.upcoming() is None:
            self._fail(f"The bot said more than {self._max_outputs} things without waiting for an answer.")
            return None
        position = self._act("output", None, self._marked(content))
        if position is not None:
            self._outputs += 1
        return position

    def attach(self, files: tuple[File, ...]) -> dict[str, Any] | None:
        """What became of files that are to be said now: as the journal has it, else what was just told."""
        entry = self.upcoming()
        if entry is not None:
            return {name: entry.content[name] for name in ("attachments", "unsaid") if name in entry.content}
        kept = self.kept.get(self.place)
        if kept is None:
            self.need = StoreFiles(self.place, files)
        return kept

    def begin(self, spec: StepSpec, group: int | None) -> int | None:
        """The position of a step's entry."""
        content = {}
        if self.upcoming() is None:
            content = {"key": self._key(self.place), "group": self.place if group is None else group}
            function = step_name(spec.function)
            if function != spec.name:  # a bot may name a step after what was said: counts don't
                content["function"] = function
        return self._act("step", spec.name, content)

    def _key(self, position: int) -> str:
        return f"{self._dialog_key}:{position}"

    def call(self, position: int, spec: StepSpec) -> StepCall:
        """What is to be run for the step at this position."""
        return StepCall(
            position=position,
            key=self._key(position),
            name=spec.name,
            function=spec.function,
            args=spec.args,
            kwargs=dict(spec.kwargs or {}),
            retry=spec.retry,
            retries=spec.retries,
            timeout=spec.timeout,
            begun=position < self.stored,
        )

    def result(self, open_steps: Collection[int]) -> Entry | None:
        """The next result of one of these steps; None when it has not come yet."""
        entry = self.upcoming()
        if entry is None:
            return None
        if entry.kind != "result" or entry.content.get("step") not in open_steps:
            self._diverge("the result of a step", entry)
            return None
        return self._take(entry)

    def receive(self, timeout: float | None) -> Entry | None:
        """The next input, or the timeout's entry."""
        entry = self.upcoming()
        if entry is None:
            if len(self.entries) >= self._max_entries:
                self._fail(f"The dialog has more than {self._max_entries:,} entries.")
                return None
            self.need = Receive(self.place, timeout, self.at, self.private > 0)
            return None
        if entry.kind != "input" and (entry.kind != "timeout" or timeout is None):
            self._diverge("input" if timeout is None else "input or timeout", entry)
            return None
        self._outputs = 0
        return self._take(entry)

    def note(self, name: str, content: dict[str, Any]) -> None:
        """Keep what the bot notes. A replay finds it again; what is new in the past is left out."""
        entries = self.entries
        place = self.place
        while place < len(entries) and entries[place].kind == "note":
            place += 1
            if entries[place - 1].name == name:
                self.place = place
                return
        if place < len(entries) or place >= self._max_entries:
            return
        entry = Entry("note", name, self._marked(content) if name in MARKS else content, self._now())
        entries.append(entry)
        self.produced.append((place, entry))
        self.place = place + 1

    def read(self, key: str) -> bytes | None:
        """What a stored file says; None when it isn't known yet."""
        content = self.files.get(key)
        if content is None:
            self.need = ReadFile(key)
        return content

    def end(self) -> None:
        """The bot ends the session: nothing may follow."""
        left = self.upcoming()
        if left is None:
            self.need = Finished(ends_session=True)
        else:
            self._diverge("the end of the session", left)

    def hand_over(self, params: dict[str, Any]) -> int | None:
        """The position of a handover's entry."""
        return self._act("handover", None, self._marked(params))

    def close_handover(self) -> int | None:
        """The position of the entry by which a handler ends its handover."""
        return self._act("handover", "close", {})

    def outcome(
        self, params: dict[str, Any], position: int, cancel_when: Callable[[str], bool] | None = None
    ) -> Entry | None:
        """How the handover at this position ended, or what happened to it meanwhile (a signal)."""
        entry = self.upcoming()
        if entry is None:
            begun = position < self.stored
            self.need = Handover(params, position, begun, cancel_when, self.private > 0)
            return None
        if entry.kind not in ("outcome", "signal"):
            self._diverge("the outcome of a handover", entry)
            return None
        self._outputs = 0
        return self._take(entry)

    def _marked(self, content: dict[str, Any]) -> dict[str, Any]:
        """The content of an entry, which says so where it is private."""
        return {**content, "private": True} if self.private else content

    def _act(self, kind: str, name: str | None, content: dict[str, Any]) -> int | None:
        entry = self.upcoming()
        position = self.place
        if entry is None:
            if position >= self._max_entries:
                self._fail(f"The dialog has more than {self._max_entries:,} entries.")
                return None
            entry = Entry(kind, name, content, self._now())
            self.entries.append(entry)
            self.produced.append((position, entry))
        elif entry.kind != kind or entry.name != name:
            self._diverge(f"{kind} {name}" if name else kind, entry)
            return None
        elif self._strict and kind != "step" and entry.content != content:
            self.need = Diverged(f"run again, the bot's {kind} has another content than before", position)
            return None
        self.place = position + 1
        self.at = entry.at
        return position

    def _take(self, entry: Entry) -> Entry:
        self.place += 1
        self.at = entry.at
        return entry

    def _fail(self, message: str) -> None:
        self.need = Failed(BotError(message), "")  # the driver adds where

    def _diverge(self, wanted: str, entry: Entry) -> None:
        self.need = Diverged(f"the bot wants {wanted} where the journal has {described(entry)}", self.place)


def described(entry: Entry) -> str:
    """An entry's kind and step name."""
    return f"{entry.kind} {entry.name}" if entry.name else entry.kind
