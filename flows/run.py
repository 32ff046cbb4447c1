"""One Prefect run of a session, as the worker and the flow see it: a queue of turns.

Nothing here imports Prefect: the worker has runs to hand its turns to before Prefect is there.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any
from uuid import UUID

from app.worker.runs import Attempt, Handle, InterruptedTurn, Job, Retrying


class Pace:
    """How long the last run took from being asked for until it was open, in seconds."""

    last = 0.0


class PrefectRun:
    """One flow run: a queue of turns and the task that runs the flow."""

    def __init__(self, name: str, tags: list[str], session_number: int, pace: Pace) -> None:
        self.name = name
        self.tags = tags
        self.session_number = session_number
        self.turns = 0
        self.retries = 0
        self.cancelled = False
        self.final_state = "Completed"
        self._queue: deque[Job | Retrying | None] = deque()
        self._taken: Job | Retrying | None = None
        self._filled = asyncio.Event()
        self._open = asyncio.Event()
        self._ended = asyncio.Event()
        self._closing = False
        self._pace = pace
        self._asked = time.monotonic()
        self.flow_run_id: UUID | None = None

    # the worker's side

    @property
    def ended(self) -> bool:
        """Whether it takes no more turns."""
        return self._ended.is_set() or self._closing

    async def opened(self, within: float) -> bool:
        """Whether the run is open, waiting for it at most `within` seconds.

        When the run before this one took longer than that, this one would too, and the wait would only make
        the first reply late: then it isn't waited for.
        """
        if self._open.is_set() or self.ended or within <= self._pace.last:
            return self._open.is_set() and not self.ended
        waits = [asyncio.create_task(self._open.wait()), asyncio.create_task(self._ended.wait())]
        await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._open.is_set() and not self.ended

    async def turn(self, handle: Handle) -> None:
        """Handle a turn in the run, or directly if the run ends before it takes the turn."""
        self.turns += 1
        job = Job(handle)
        await self._ask(job)
        if job.take():
            await job.execute()
        await job.done

    async def retry(self, attempt: Attempt, what: str) -> None:
        """Retry a delivery as a task of the run; once, directly, if the run has ended."""
        retrying = Retrying(attempt, what)
        await self._ask(retrying)
        if retrying.take():
            await retrying.attempt()
            retrying.finish()
        self.retries += retrying.attempts
        await retrying.done

    async def _ask(self, job: Job | Retrying) -> None:
        """Return when the job is done, or when the run has ended and may have left it."""
        self._put(job)
        ended = asyncio.create_task(self._ended.wait())
        waits: list[asyncio.Future[Any]] = [job.done, ended]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()

    def close(self) -> None:
        """Let the run end once its turn is over."""
        self._closing = True
        self._put(None)

    async def wait_closed(self) -> None:
        """Return when Prefect has been told of the end."""
        await self._ended.wait()

    def _put(self, job: Job | Retrying | None) -> None:
        self._queue.append(job)
        self._filled.set()

    # Prefect's side

    def begin(self) -> None:
        """Prefect is asked for it from now on: what it was not there for before says nothing of its pace."""
        self._asked = time.monotonic()

    async def next(self) -> Job | Retrying | None:
        """The next turn or delivery to retry; None: end."""
        if not self._open.is_set():
            self._pace.last = time.monotonic() - self._asked
            self._open.set()
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        self._taken = self._queue.popleft()
        return self._taken

    @property
    def idle(self) -> bool:
        """Whether what was taken last came to its end."""
        if self._taken is None:
            return True
        done = self._taken.done
        return done.done() and not done.cancelled() and not isinstance(done.exception(), InterruptedTurn)

    def cancel(self) -> None:
        """Somebody cancelled the run in Prefect: it ends after its turn."""
        self.cancelled = True
        self.close()

    def end(self) -> None:
        """The flow has returned, or never began."""
        self._ended.set()
