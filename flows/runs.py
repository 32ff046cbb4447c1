"""Opens and ends the Prefect runs of a worker's sessions.

Facts about prefect 3.8 that this rests on (docs/decisions has the measurements): a run that was created first
and has no name template starts in about 60 ms; clients entered once and kept save every run from building its
own; more than a few starts a second stall a server on SQLite, so they queue here and nobody waits for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from contextvars import copy_context
from datetime import UTC, datetime
from inspect import isawaitable
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.events.worker import EventsWorker
from prefect.flow_engine import run_flow_async
from prefect.states import Crashed, Pending

from app.worker.runs import Attempt, Handle, InterruptedTurn, Job, Retrying
from flows.conversation import conversation, handed
from flows.telling import telling

log = structlog.get_logger(__name__)

#: Seconds without new runs after one could not be opened.
REST_AFTER_FAILURE = 30.0
#: Runs being opened at a time.
OPENING_AT_A_TIME = 2
#: Summaries that wait to be kept; more are left out.
MOST_NOTES = 50
#: Seconds between two looks for runs that somebody cancelled.
CANCEL_EVERY = 5.0


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

    # the flow's side

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


def _untrue(record: logging.LogRecord) -> bool:
    """Prefect says of a run that it could not be told the end of: "Finished in state Running()", an error."""
    return not record.getMessage().startswith("Finished in state Running")


class PrefectRuns:
    """The runs of one worker. `folder` is where Prefect would keep results (it gets none)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._client: PrefectClient | None = None
        self._opening = asyncio.Semaphore(OPENING_AT_A_TIME)
        self._marking = asyncio.Semaphore(OPENING_AT_A_TIME)
        self._noting = 0
        self._rest_until = 0.0
        self._pace = Pace()
        self._runs: dict[PrefectRun, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Enter the clients that all runs share, in the context that sessions copy."""
        self._folder.mkdir(parents=True, exist_ok=True)
        logging.getLogger("prefect.flow_runs").addFilter(_untrue)
        context = await self._stack.enter_async_context(AsyncClientContext.get_or_create())
        self._stack.enter_context(SyncClientContext.get_or_create())
        self._client = context.client
        self._context = copy_context()
        self._flow = conversation.with_options(result_storage=self._folder.resolve())
        self._begin(self._watch_for_cancels())

    async def stop(self, within: float) -> None:
        """End what is open, and let Prefect's queue of events run empty, in at most `within` seconds."""
        deadline = time.monotonic() + within
        telling.flush()
        for run in self._runs:
            run.close()
        await _ended(self._runs.values(), deadline - 1.0)
        for task in (*self._runs.values(), *self._background):
            task.cancel()
        await _ended((*self._runs.values(), *self._background), deadline - 0.5)
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0.1)):
                if isawaitable(drained := EventsWorker.drain_all()):  # it is, where a loop runs
                    await drained
                await self._stack.aclose()
        except Exception as error:
            log.warning("prefect_client_not_closed", error=type(error).__name__)

    def open(
        self, *, endpoint: str, conversation: str, bot: str, session: int, number: int
    ) -> PrefectRun | None:
        """Begin to open a run; None while Prefect rests after a failure."""
        if time.monotonic() < self._rest_until:
            return None
        name = f"{endpoint} · {conversation} · {session}.{number}"
        run = PrefectRun(name, [*_tags(endpoint, conversation), f"bot:{bot}"], session, self._pace)
        self._runs[run] = asyncio.create_task(self._live(run), context=self._context.copy())
        return run

    async def _live(self, run: PrefectRun) -> None:
        """Create the flow run and run the flow in it, until it returns."""
        try:
            async with self._opening:
                if run.ended:
                    return
                flow_run = await self._create(run)
                run.flow_run_id = flow_run.id
            with handed(run) as inbox:
                await run_flow_async(
                    self._flow, flow_run=flow_run, parameters={"inbox": inbox}, return_type="state"
                )
            run.final_state = "Cancelled" if run.cancelled else "Completed"
        except asyncio.CancelledError:
            # Idle, it has ended in good order: only Prefect was not told in time, and is by `reconcile`.
            run.final_state = "Completed" if run.idle else "Crashed"
            raise
        except Exception as error:
            run.final_state = "Failed"
            self._rest_until = time.monotonic() + REST_AFTER_FAILURE
            log.warning("prefect_run_failed", run=run.name, error=type(error).__name__)
        finally:
            run.end()
            self._runs.pop(run, None)

    async def _create(self, run: PrefectRun) -> FlowRun:
        assert self._client is not None
        async with asyncio.timeout(20.0):
            return await self._client.create_flow_run(
                self._flow, name=run.name, tags=run.tags, parameters={}, state=Pending()
            )

    def taken_over(self, *, endpoint: str, conversation: str, left: Sequence[UUID]) -> None:
        """Tell Prefect, later, that the runs of the conversation's dead owner have crashed.

        Its last run may have died before it was stored, so Prefect is asked for those that still run.
        """
        self._begin(self._mark_crashed(_tags(endpoint, conversation), set(left), datetime.now(UTC)))

    async def note(self, flow_run: UUID, markdown: str) -> None:
        """Keep a summary as the run's artifact. Left out when Prefect is away or many wait already."""
        if self._client is None or self._noting >= MOST_NOTES or time.monotonic() < self._rest_until:
            return
        artifact = ArtifactCreate(
            type="markdown", description="The session", data=markdown, flow_run_id=flow_run
        )
        self._noting += 1
        try:
            async with self._marking, asyncio.timeout(20.0):
                await self._client.create_artifact(artifact)
        except Exception as error:
            log.info("summary_not_kept", error=type(error).__name__)
        finally:
            self._noting -= 1

    async def _mark_crashed(self, tags: list[str], left: set[UUID], before: datetime) -> None:
        assert self._client is not None
        state: Any = Crashed(message="Its worker died; the conversation went on in another run.")
        for pause in (0.0, 10.0, 60.0):
            await asyncio.sleep(pause)
            try:
                async with self._marking:
                    running = await self._client.read_flow_runs(flow_run_filter=_running(tags, before))
                    own = {run.flow_run_id for run in self._runs}
                    for flow_run in left | ({each.id for each in running} - own):
                        await self._client.set_flow_run_state(flow_run, state, force=True)
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
            assert self._client is not None
            try:
                cancelling = await self._client.read_flow_runs(flow_run_filter=_cancelling(list(by_id)))
            except Exception as error:
                log.info("cancels_not_read", error=type(error).__name__)
                continue
            for flow_run in cancelling:
                by_id[flow_run.id].cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _ended(tasks: Iterable[asyncio.Task[None]], deadline: float) -> None:
    """Return when all have ended, at the deadline at the latest."""
    if waiting := list(tasks):
        await asyncio.wait(waiting, timeout=max(deadline - time.monotonic(), 0.1))


def _tags(endpoint: str, conversation: str) -> list[str]:
    """What a conversation's runs are found by."""
    return [f"endpoint:{endpoint}", f"conversation:{conversation}"]


def _running(tags: list[str], before: datetime) -> FlowRunFilter:
    return FlowRunFilter.model_validate(
        {
            "tags": {"all_": tags},
            "state": {"type": {"any_": [StateType.RUNNING]}},
            "start_time": {"before_": before},
        }
    )


def _cancelling(ids: list[UUID | None]) -> FlowRunFilter:
    return FlowRunFilter.model_validate(
        {"id": {"any_": ids}, "state": {"type": {"any_": [StateType.CANCELLING, StateType.CANCELLED]}}}
    )
