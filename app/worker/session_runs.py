"""The Prefect runs of one open conversation: one at a time, each of one session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bind_contextvars

from app.conversation.services import Host, PlainHost, Services, Work
from app.conversation.state import ConversationState
from app.conversation.turn import Turns
from app.worker import run_rows
from app.worker.runs import Attempt, Run, Runs
from app.worker.summary import summary

log = structlog.get_logger(__name__)

#: A run ends after so many turns or seconds, and the next turn opens another.
MOST_TURNS = 500
LONGEST = 24 * 3600.0
#: Retries of a delivery are the run's for this long; after that they come back through `due_at`.
RETRIES_FOR = 60.0

_background: set[asyncio.Task[None]] = set()


class _Recorded:
    """Records the run before a step too: by then the session is stored, and a step may be long."""

    def __init__(self, host: Host, record: Callable[[], None]) -> None:
        self._host, self._record = host, record

    async def step(self, name: str, work: Work) -> None:
        """Run a bot's step."""
        self._record()
        await self._host.step(name, work)

    async def fetch(self, attempt: Attempt) -> None:
        """Try to have a file."""
        await self._host.fetch(attempt)


class SessionRuns:
    """Opens a run for the session's first turn and hands it the turns."""

    def __init__(
        self, services: Services, runs: Runs, state: ConversationState, worker: int, run_wait: float
    ) -> None:
        self._services = services
        self._runs = runs
        self._state = state
        self._worker = worker
        self._run_wait = run_wait
        self._run: Run | None = None
        self._row: UUID | None = None
        self._recording: asyncio.Task[None] | None = None
        self._opened_at: datetime | None = None
        self._began = 0.0
        self._waited = False
        self._number = 0
        self._trouble_since: float | None = None

    async def turn(self, turns: Turns) -> None:
        """Run a turn in the open run; as a plain function while there is none."""
        run = await self._current(turns.session_number())
        if run is None:
            await turns.handle(PlainHost())
            self._tell()
        else:
            await run.turn(lambda host: self._in_run(run, turns, host))
            self._record(run)

    async def _in_run(self, run: Run, turns: Turns, host: Host) -> None:
        """A turn within the run: what is logged of it names the run."""
        bind_contextvars(flow_run=str(run.flow_run_id))
        await turns.handle(_Recorded(host, lambda: self._record(run)))
        self._tell()

    def _tell(self) -> None:
        """What ties the request, which is in the line as `request`, to the conversation (and to the run)."""
        log.debug("handled", endpoint=self._state.endpoint, conversation=self._state.id)

    async def retry(self, attempt: Attempt, what: str) -> None:
        """Retry a delivery, where ops see it for the first minute."""
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        settled = False

        async def tried() -> bool:
            nonlocal settled
            settled = await attempt()
            return settled

        run = self._run
        if (
            run is not None
            and not run.ended
            and await run.opened(0)
            and now - self._trouble_since < RETRIES_FOR
        ):
            await run.retry(tried, what)
        else:
            await tried()
        if settled:
            self._trouble_since = None

    def close(self) -> None:
        """Let the run end."""
        if self._run is not None:
            self._record(self._run)  # one that opened only after its turns had been handled has a row too
        run, self._run = self._run, None
        if run is not None:
            run.close()
            _later(self._closed(run, self._row, self._recording))
            self._row = self._recording = None

    async def _current(self, session_number: int) -> Run | None:
        """The open run of that session, begun if need be; None when it isn't open yet."""
        run = self._run
        if run is not None and (
            run.ended
            or run.session_number != session_number
            or run.turns >= MOST_TURNS
            or time.monotonic() - self._began > LONGEST
        ):
            self.close()
            run = None
        if run is None:
            run = self._run = self._open(session_number)
            if run is None:
                return None
        within = 0.0 if self._waited else self._run_wait
        self._waited = True
        return run if await run.opened(within) else None

    def _open(self, session_number: int) -> Run | None:
        state = self._state
        session = state.session
        before = session.runs if session is not None and session.number == session_number else 0
        self._number = before + 1
        self._waited = False
        self._began = time.monotonic()
        self._opened_at = self._services.now()
        return self._runs.open(
            endpoint=state.endpoint,
            conversation=state.external_id,
            bot=self._services.endpoints[state.endpoint].flow,
            session=session_number,
            number=self._number,
        )

    def _record(self, run: Run) -> None:
        """Once the session is stored and the run is known: the row that ties them together."""
        session, flow_run = self._state.session or self._state.ended_session, run.flow_run_id
        if (
            self._row is not None
            or session is None
            or flow_run is None
            or session.number != run.session_number
        ):
            return
        self._row = flow_run
        session.runs = max(session.runs, self._number)
        assert self._opened_at is not None
        self._recording = _later(
            run_rows.opened(
                self._services.engine,
                session=session.id,
                conversation=self._state.id,
                worker=self._worker,
                number=self._number,
                flow_run=flow_run,
                name=f"{self._state.endpoint} · {self._state.external_id} · {session.number}.{self._number}",
                opened_at=self._opened_at,
            )
        )

    async def _closed(self, run: Run, row: UUID | None, recording: asyncio.Task[None] | None) -> None:
        await run.wait_closed()
        if recording is not None:
            await recording
        if row is not None:
            await run_rows.closed(
                self._services.engine,
                flow_run=row,
                state=run.final_state,
                turns=run.turns,
                retries=run.retries,
            )
            markdown = await summary(self._services.engine, row)
            if markdown is not None:
                await self._runs.note(row, markdown)


def _later(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Do it beside everything else; a database that is away now only costs the row."""

    async def guarded() -> None:
        try:
            await work
        except (SQLAlchemyError, OSError) as error:
            log.warning("run_row_not_written", error=type(error).__name__)

    task = asyncio.create_task(guarded())
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


async def finish_rows(within: float) -> None:
    """Wait for rows being written, at most `within` seconds."""
    if _background:
        await asyncio.wait(list(_background), timeout=within)
