"""Keeps parts running: starts them, starts them again, stops them in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog

from app.errors import ConfigurationError
from app.supervisor.part import LOOK, MISCONFIGURED, Part

log = structlog.get_logger(__name__)

#: Starts a part gets before it has ever answered.
TRIES = 3


class Supervisor:
    """A set of parts, each watched by a task of its own.

    Until a part has answered once, its death is counted, and at the third (or the first with the exit code
    of a wrong configuration) `failed` is set: it can't start. After that it is started again for ever.
    """

    def __init__(self, *, patience: float = 120.0) -> None:
        self.patience = patience
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers: dict[str, asyncio.Task[None]] = {}

    def keep(self, part: Part) -> None:
        """Start a part and keep it running."""
        part.launch()
        self._watchers[part.name] = asyncio.create_task(self._watch(part), name=f"watch {part.name}")

    async def until_ready(self, *parts: Part, within: float | None = None) -> None:
        """Return when all parts answer. Raises ConfigurationError when one can't start or doesn't in time."""
        waiting = asyncio.gather(*(self._until_answered(part, within or self.patience) for part in parts))
        try:
            either: list[asyncio.Future[Any]] = [waiting, self.failed]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self.failed.done():
                self.failed.result()
            await waiting
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def stop(self, part: Part, *, within: float) -> None:
        """Stop keeping a part, and the part. One that isn't kept is left alone."""
        watcher = self._watchers.pop(part.name, None)
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        await part.stop(within=within)

    async def stop_in_order(self, steps: Sequence[tuple[Sequence[Part], float]], *, within: float) -> None:
        """Stop the parts of one step after another's; each step has its seconds, all together `within`.

        Each leaves a second to every step after it.
        """
        deadline = time.monotonic() + within
        for later, (parts, seconds) in enumerate(steps, start=1 - len(steps)):
            left = max(0.5, min(seconds, deadline - time.monotonic() + later))
            await asyncio.gather(*(self.stop(part, within=left) for part in parts))

    async def _until_answered(self, part: Part, within: float) -> None:
        deadline = time.monotonic() + within
        while not part.answered:
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"{part.name} does not answer after {within:.0f} s{part.last_words()}"
                )
            await asyncio.sleep(LOOK)

    async def _watch(self, part: Part) -> None:
        try:
            while True:
                await self._until_dead(part)
                code = part.exit_code()
                log.warning("part_ended", name=part.name, exit_code=code, restarts=part.restarts)
                pause = part.pause()
                if not part.answered and (code == MISCONFIGURED or part.restarts >= TRIES):
                    raise ConfigurationError(f"{part.name} can't start (exit code {code}){part.last_words()}")
                part.clear()
                await asyncio.sleep(pause)
                part.launch()
        except Exception as error:
            if not self.failed.done():
                self.failed.set_exception(error)

    async def _until_dead(self, part: Part) -> None:
        answering = part.answered
        while part.exit_code() is None:
            if not answering and part.process is not None:
                answering = await part.ready(part.process)
                if answering and part.exit_code() is None:
                    part.answered = True
                    log.info(
                        "part_ready", name=part.name, seconds=round(time.monotonic() - part.started_at, 2)
                    )
            await asyncio.sleep(LOOK)
