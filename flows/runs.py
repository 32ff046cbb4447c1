"""Opens and ends the Prefect runs of a worker's sessions.

Prefect is imported beside the first turns, so that a worker that was started again answers in half the time.
More than a few starts of runs a second stall a server on SQLite, so they queue here, and nobody waits for
them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from app.processes import import_late
from flows.run import Pace, PrefectRun
from flows.telling import telling

if TYPE_CHECKING:
    from flows.client import Client

log = structlog.get_logger(__name__)

#: Seconds without new runs after one could not be opened.
REST_AFTER_FAILURE = 30.0
#: Runs being opened at a time.
OPENING_AT_A_TIME = 2
#: Summaries that wait to be kept; more are left out.
MOST_NOTES = 50
#: Seconds between two looks for runs that somebody cancelled.
CANCEL_EVERY = 5.0


class PrefectRuns:
    """The runs of one worker. `folder` is where Prefect would keep results (it gets none)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._opening = asyncio.Semaphore(OPENING_AT_A_TIME)
        self._marking = asyncio.Semaphore(OPENING_AT_A_TIME)
        self._noting = 0
        self._rest_until = 0.0
        self._pace = Pace()
        self._pace.last = float("inf")  # nobody waits until Prefect is there
        self._runs: dict[PrefectRun, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._connected: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to import Prefect and to enter its clients; what is asked meanwhile waits for that."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._connected = asyncio.create_task(self._connect())
        self._begin(self._watch_for_cancels())

    async def _connect(self) -> None:
        """Keep the clients entered until the stop."""
        try:
            module = await _imported("flows.client")
        except Exception as error:
            log.error("prefect_not_usable", error=type(error).__name__, exc_info=True)
            self._rest_until = float("inf")
            self._client.set_exception(error)
            self._client.exception()  # whether anybody waits for it or not
            return
        while not self._stopping.is_set():
            try:
                async with module.entered(self._folder) as client:
                    self._ready(client)
                    await self._stopping.wait()
            except Exception as error:
                if self._client.done():
                    log.warning("prefect_client_not_closed", error=type(error).__name__)
                    return
                log.warning("prefect_not_entered", error=type(error).__name__, again_in=REST_AFTER_FAILURE)
                self._rest_until = float("inf")  # what is open by now waits, and nothing more
                await asyncio.sleep(REST_AFTER_FAILURE)

    def _ready(self, client: Client) -> None:
        self._pace.last = self._rest_until = 0.0
        self._client.set_result(client)

    async def _prefect(self) -> Client:
        """Prefect, once it is there. Raises what kept it from being usable."""
        return await asyncio.shield(self._client)

    async def stop(self, within: float) -> None:
        """End what is open, and let Prefect's queue of events run empty, in at most `within` seconds."""
        deadline = time.monotonic() + within
        telling.flush()
        for run in self._runs:
            run.close()
        if self._client.done():  # without Prefect none of them has begun
            await _ended(self._runs.values(), deadline - 1.0)
        for task in (*self._runs.values(), *self._background):
            task.cancel()
        await _ended((*self._runs.values(), *self._background), deadline - 0.5)
        self._stopping.set()
        if self._connected is not None:
            if self._client.done():
                await _ended([self._connected], deadline)
            if self._connected.cancel() and self._client.done():
                log.warning("prefect_client_not_closed", error="TimeoutError")

    def open(
        self, *, endpoint: str, conversation: str, bot: str, session: int, number: int
    ) -> PrefectRun | None:
        """Begin to open a run; None while Prefect rests after a failure."""
        if time.monotonic() < self._rest_until:
            return None
        name = f"{endpoint} · {conversation} · {session}.{number}"
        run = PrefectRun(name, [*_tags(endpoint, conversation), f"bot:{bot}"], session, self._pace)
        self._runs[run] = asyncio.create_task(self._live(run))
        return run

    async def _live(self, run: PrefectRun) -> None:
        """Create the flow run and run the flow in it, until it returns."""
        try:
            prefect = await self._prefect()
            run.begin()
            async with self._opening:
                if run.ended:
                    return
                flow_run = await prefect.create(run)
                run.flow_run_id = flow_run.id
            await prefect.run(run, flow_run)
            run.final_state = "Cancelled" if run.cancelled else "Completed"
        except asyncio.CancelledError:
            # Idle, it has ended in good order: only Prefect was not told in time, and is by `reconcile`.
            run.final_state = "Completed" if run.idle else "Crashed"
            raise
        except Exception as error:
            run.final_state = "Failed"
            self._rest_until = max(self._rest_until, time.monotonic() + REST_AFTER_FAILURE)
            log.warning("prefect_run_failed", run=run.name, error=type(error).__name__)
        finally:
            run.end()
            self._runs.pop(run, None)

    def taken_over(self, *, endpoint: str, conversation: str, left: Sequence[UUID]) -> None:
        """Tell Prefect, later, that the runs of the conversation's dead owner have crashed.

        Its last run may have died before it was stored, so Prefect is asked for those that still run.
        """
        self._begin(self._mark_crashed(_tags(endpoint, conversation), set(left), datetime.now(UTC)))

    async def note(self, flow_run: UUID, markdown: str) -> None:
        """Keep a summary as the run's artifact. Left out when Prefect is away or many wait already."""
        if self._noting >= MOST_NOTES or time.monotonic() < self._rest_until:
            return
        self._noting += 1
        try:
            prefect = await self._prefect()
            async with self._marking:
                await prefect.keep(flow_run, markdown)
        except Exception as error:
            log.info("summary_not_kept", error=type(error).__name__)
        finally:
            self._noting -= 1

    async def _mark_crashed(self, tags: list[str], left: set[UUID], before: datetime) -> None:
        for pause in (0.0, 10.0, 60.0):
            await asyncio.sleep(pause)
            try:
                prefect = await self._prefect()
                async with self._marking:
                    running = await prefect.running(tags, before)
                    own = {run.flow_run_id for run in self._runs}
                    for flow_run in left | (running - own):
                        await prefect.mark_crashed(flow_run)
            except Exception as error:
                log.info("runs_not_marked", tags=tags, error=type(error).__name__)
            else:
                return

    async def _watch_for_cancels(self) -> None:
        """Runs without a deployment are cancelled by state only: somebody has to look."""
        while True:
            await asyncio.sleep(CANCEL_EVERY)
            by_id = {run.flow_run_id: run for run in self._runs if run.flow_run_id is not None}
            if not by_id:
                continue
            try:
                prefect = await self._prefect()
                cancelled = await prefect.cancelled(by_id)
            except Exception as error:
                log.info("cancels_not_read", error=type(error).__name__)
                continue
            for flow_run in cancelled:
                by_id[flow_run].cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _imported(name: str) -> Any:
    """A big module, imported in a thread that no end waits for, as the loop's would wait for its own."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="import")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, import_late, name)
    finally:
        thread.shutdown(wait=False)


async def _ended(tasks: Iterable[asyncio.Task[None]], deadline: float) -> None:
    """Return when all have ended, at the deadline at the latest."""
    if waiting := list(tasks):
        await asyncio.wait(waiting, timeout=max(deadline - time.monotonic(), 0.1))


def _tags(endpoint: str, conversation: str) -> list[str]:
    """What a conversation's runs are found by."""
    return [f"endpoint:{endpoint}", f"conversation:{conversation}"]
