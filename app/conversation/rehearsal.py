"""A dialog in a unit test: steps really run, and everything is replayed from scratch at every stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from app.conversation.driver import Bot, DialogStart, Driver
from app.conversation.journal import Entry, is_said
from app.conversation.needs import (
    Diverged,
    Failed,
    Handover,
    Need,
    ReadFile,
    Receive,
    RunSteps,
    StepCall,
    StoreFiles,
)
from app.conversation.step import run_step
from app.conversation.step_threads import EndpointThreads
from app.files.outgoing import missing
from app.files.sniffing import sniff

T = TypeVar("T")

_ADVICE = (
    "A bot is run again from the start at every turn, and must then do the same. Take the time from "
    "chat.now(), random numbers from chat.random, everything from outside through chat.step, and keep what "
    "lasts in chat.session."
)


class NotReplayable(AssertionError):
    """The bot did something else when it was run again over the same inputs and results."""


class Rehearsal:
    """One dialog. `clock` gives the time, `steps` other functions for steps by name, `files` bytes by key."""

    def __init__(
        self,
        bot: Bot,
        start: DialogStart,
        *,
        clock: Callable[[], datetime],
        steps: Mapping[str, Callable[..., Any]],
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self._bot = bot
        self._start = start
        self._clock = clock
        self._steps = steps
        self._files = files if files is not None else {}
        self._driver = Driver(bot, start, [], now=clock)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The journal so far."""
        return tuple(self._driver.entries)

    @property
    def session(self) -> dict[str, Any]:
        """chat.session as the bot left it."""
        return self._driver.session

    def feed(self, kind: str, content: dict[str, Any], *, name: str | None = None) -> Need:
        """What the bot needs after this has happened; never RunSteps: steps are run here.

        Raises what the bot raises, and NotReplayable.
        """
        self._driver.feed(Entry(kind, name, content, self._clock()))
        while isinstance(need := self._run(), RunSteps):
            for call, result in _run_steps([self._replaced(call) for call in need.calls]):
                self._driver.feed(Entry("result", call.name, result, self._clock()))
        return need

    def outputs(self) -> list[dict[str, Any]]:
        """What the bot said since this was last asked."""
        return [entry.content for _, entry in self._driver.drain() if is_said(entry)]

    def close(self) -> None:
        """End it where it stands."""
        self._driver.close()

    def _run(self) -> Need:
        need = self._reading(self._driver)
        if isinstance(need, Failed):
            raise need.error
        if isinstance(need, Diverged):
            raise NotReplayable(f"At position {need.position}: {need.reason}. {_ADVICE}")
        self._compare(need)
        return need

    def _reading(self, driver: Driver) -> Need:
        """What the bot needs but for files, which it gets and can say."""
        while isinstance(need := driver.run(), ReadFile | StoreFiles):
            if isinstance(need, ReadFile):
                driver.provide(need.key, self._files[need.key])
            else:
                driver.attach(_kept(need))
        return need

    def _compare(self, need: Need) -> None:
        entries = self.entries
        with Driver(self._bot, self._start, entries, now=self._clock, strict=True) as again:
            need_again = self._reading(again)
            produced = again.drain()
            session = again.session
        if isinstance(need_again, Diverged):
            problem = f"at position {need_again.position}, {need_again.reason}"
        elif isinstance(need_again, Failed):
            problem = f"the bot raised {need_again.summary}"
        elif produced:
            problem = f"the bot went on with {produced[0][1].kind} where it had stopped before"
        elif _shape(need_again) != _shape(need):
            problem = f"the bot came to {_shape(need_again)} instead of {_shape(need)}"
        elif session != self._driver.session:
            problem = "chat.session came out differently"
        else:
            return
        raise NotReplayable(f"Run again after {len(entries)} journal entries, {problem}. {_ADVICE}")

    def _replaced(self, call: StepCall) -> StepCall:
        return replace(call, function=self._steps.get(call.name, call.function))


def _kept(need: StoreFiles) -> dict[str, Any]:
    """Files as they would be kept, but for those at an address: nothing is fetched in a test."""
    kept = []
    for number, file in enumerate(need.files):
        if isinstance(file.source, Path) and not file.source.is_file():
            return {"unsaid": missing(number)}
        content = b"" if isinstance(file.source, str) else file.source
        content = content.read_bytes() if isinstance(content, Path) else content
        key = sha256(content + str(file.source if file.is_url else "").encode()).hexdigest()[:32]
        about = {"name": file.name, "type": sniff(content[:8192], file.name), "size": len(content)}
        kept.append({**about, "file": f"test/{key}", "url": f"https://parley.test/files/{key}"})
    return {"attachments": kept}


def _shape(need: Need) -> tuple[object, ...]:
    """A need without what may differ between two runs: functions, and whether a step has begun."""
    match need:
        case RunSteps(calls):
            return ("RunSteps", *((call.name, call.key, call.args, call.kwargs) for call in calls))
        case Receive(position, timeout, since):
            return ("Receive", position, timeout, since)
        case Handover(params, position):
            return ("Handover", params, position)
        case _:
            return (type(need).__name__,)


def _run_steps(calls: list[StepCall]) -> list[tuple[StepCall, dict[str, Any]]]:
    """Run steps as in production, but for the pauses between attempts."""

    async def run() -> list[dict[str, Any]]:
        threads = EndpointThreads(len(calls))
        try:
            return await asyncio.gather(*(run_step(call, threads=threads, sleep=_no_pause) for call in calls))
        finally:
            threads.shutdown()

    return list(zip(calls, _apart(run), strict=True))


async def _no_pause(_: float) -> None:
    """Tests don't wait."""


def _apart(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run async code from a plain function, also where a loop is running already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(function())).result()
