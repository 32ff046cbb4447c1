"""The worker: claims conversations that are due and hosts them until they are quiet."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import psutil
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.conversation.services import Services
from app.endpoints import Alerts
from app.settings import Settings
from app.worker import alerts as alerting
from app.worker import claims, dead_air
from app.worker.alerts import AlertSender
from app.worker.dead_air import DeadAir
from app.worker.hosted import Hosted, HostSettings
from app.worker.listener import listen
from app.worker.runs import Runs
from app.worker.session_runs import finish_rows
from app.worker.tidy import EVERY, Tidy

log = structlog.get_logger(__name__)

#: Conversations claimed by one look.
MOST_AT_ONCE = 50
#: A sweep wakes conversations so many seconds apart, or closer: over this part of the time between sweeps.
WAKE_APART, SPREAD = 0.02, 0.5
#: Idle ones closed at a time to make room.
MAKE_ROOM = 8
#: Seconds that turns, and after them runs, have to end when the worker is asked to. With what is done
#: besides that is less than the 10 s that it has. Of what turns leave of theirs runs get so many in all.
TURNS_WITHIN, RUNS_WITHIN, RUNS_AT_MOST = 6.5, 2.0, 5.0


class Worker:
    """One worker process. Everything happens in one event loop."""

    def __init__(
        self, settings: Settings, services: Services, runs: Runs, url: str, alerts: Alerts | None = None
    ) -> None:
        self._settings = settings
        self._services = services
        self._runs = runs
        self._url = url
        self._dead_air = DeadAir(services.engine, services.endpoints, now=services.now)
        self._alerts = AlertSender(services.engine, alerts)
        self._id = 0
        self._lease = timedelta(seconds=settings.lease)
        self._hosted: dict[int, Hosted] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._first = 0
        self._look = asyncio.Event()
        self._stopping = asyncio.Event()
        self._modes_changed = asyncio.Event()
        self._untold = asyncio.Event()
        """Set when notifications may have been missed."""
        self._context = contextvars.copy_context()

    @property
    def id(self) -> int:
        """The worker's row."""
        return self._id

    @property
    def open_conversations(self) -> int:
        """How many conversations are open here."""
        return len(self._hosted)

    def tell_alerts(self, alerts: Alerts | None) -> None:
        """From now on incidents are told there; None: nowhere."""
        self._alerts.alerts = alerts

    def stop(self) -> None:
        """Finish turns, give all conversations back, and return from `run`."""
        self._stopping.set()
        self._look.set()

    async def run(self) -> None:
        """Work until told to stop. Raises what the database raises when it can't be reached at the start."""
        await self._register()
        await self._services.pauses.refresh()
        await self._refresh_modes()
        await self._runs.start()
        self._context = contextvars.copy_context()
        listening = listen(self._url, self._told, self._modes_changed.set, self._untold.set)
        sweeping = self._every(self._settings.sweep, self._sweep, sooner=self._untold)
        background = [asyncio.create_task(work) for work in (listening, sweeping, self._follow_modes())]
        repeated: list[tuple[float, Callable[[], object]]] = [
            (self._settings.lease / 3, self._renew),
            (5.0, self._services.pauses.refresh),
            (EVERY, Tidy(self._services).run),
            (dead_air.EVERY, self._dead_air.look),
            (alerting.EVERY, self._alerts.send),
        ]
        for number, (seconds, work) in enumerate(repeated):  # not all of them in the same moment
            head_start = seconds * number / len(repeated)
            background.append(asyncio.create_task(self._every(seconds, work, head_start=head_start)))
        log.info("worker_started", worker=self._id)
        try:
            await self._claim_for_ever()
        finally:
            await self._drain()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._alerts.aclose()
            await self._leave()

    async def _register(self) -> None:
        host, pid = socket.gethostname(), os.getpid()
        async with self._services.engine.begin() as connection:
            dead = [
                worker
                for worker, other, started in await claims.siblings(connection, host)
                if not is_running(other, started)
            ]
            if dead:
                await claims.bury(connection, dead)
            self._id = await claims.register(
                connection, host=host, pid=pid, started=psutil.Process(pid).create_time(), lease=self._lease
            )

    async def _every(
        self,
        seconds: float,
        work: Callable[[], object],
        *,
        sooner: asyncio.Event | None = None,
        head_start: float = 0.0,
    ) -> None:
        """Do something again and again; the database being away only skips a beat."""
        away = False
        never = asyncio.Event()
        pause = seconds - head_start
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await (sooner or never).wait()
            pause = seconds
            try:
                await work()  # type: ignore[misc]  # each is a coroutine function
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                if not away:
                    log.warning(
                        "database_away", doing=getattr(work, "__name__", ""), error=type(error).__name__
                    )
                away = True
            except Exception as error:
                log.error(
                    "background_failed",
                    doing=getattr(work, "__name__", ""),
                    error=type(error).__name__,
                    exc_info=True,
                )
            else:
                away = False

    async def _renew(self) -> None:
        self._services.stats.steps_stuck = self._services.threads.stuck()
        async with self._services.engine.begin() as connection:
            lapsed = await claims.renew(connection, self._id, self._lease, self._services.stats.to_json())
        if lapsed:  # others may have had what is open here: it is read again
            log.warning("lease_lapsed", worker=self._id)
            for hosted in list(self._hosted.values()):
                hosted.close()

    async def _refresh_modes(self) -> None:
        await self._services.modes.refresh(self._services.engine)

    async def _follow_modes(self) -> None:
        """Read the endpoints' modes when told that they changed, and each second in case that was lost."""

        async def refresh() -> None:
            self._modes_changed.clear()
            await self._refresh_modes()

        await self._every(1.0, refresh, sooner=self._modes_changed)

    async def _sweep(self) -> None:
        """What no notification told of: the own conversations that are due, and those that are nobody's.

        At once when it has begun to listen: at the start, and when the connection had broken.

        The own are woken one after the other: most have only echoes to note, and all at once they would
        hold up every reply of that moment.
        """
        self._untold.clear()
        self._look.set()
        async with self._services.engine.connect() as connection:
            due = await claims.own_due(connection, self._id)
        pause = min(WAKE_APART, self._settings.sweep * SPREAD / max(len(due), 1))
        for conversation in due:
            if (hosted := self._hosted.get(conversation)) is not None:
                hosted.wake(due=True)
                await asyncio.sleep(pause)

    def _told(self, conversations: list[int]) -> None:
        for conversation in conversations:
            hosted = self._hosted.get(conversation)
            if hosted is not None:
                hosted.wake()
            else:
                self._look.set()

    # claims

    async def _claim_for_ever(self) -> None:
        while not self._stopping.is_set():
            await self._look.wait()
            self._look.clear()
            if self._stopping.is_set():
                return
            try:
                await self._claim()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("claim_failed", error=type(error).__name__)
                await asyncio.sleep(0.2)

    async def _claim(self) -> None:
        """Claim what is due, as far as there is room; make room where there is none."""
        total = max(self._settings.max_sessions - len(self._hosted), 0)
        slots = self._room(total)
        full = [name for name, room in slots.items() if room == 0]
        free = {name: room for name, room in slots.items() if room > 0}
        hosted = list(self._hosted)
        async with self._services.engine.begin() as connection:
            wanted = await claims.wanted(connection, self._id, full, hosted) if full else []
            claimed = await claims.claim(connection, self._id, free, hosted, most=total) if free else []
        for claim in claimed:
            self._host(claim)
        if wanted:
            self._make_room(wanted)
        found = Counter(claim.endpoint for claim in claimed)
        if len(claimed) >= total > 0 or any(found[name] >= room for name, room in free.items()):
            self._look.set()  # there may be more

    def _room(self, total: int) -> dict[str, int]:
        """How many more conversations of each endpoint may be opened now, of so many in all.

        Each time another endpoint is the first, so that all get room where there is less than one for each.
        """
        counts = Counter(hosted.claim.endpoint for hosted in self._hosted.values())
        names = list(self._services.endpoints)
        self._first = (self._first + 1) % max(len(names), 1)
        names = names[self._first :] + names[: self._first]
        share = max(min(total, MOST_AT_ONCE) // max(len(names), 1), 1) if total else 0
        most = self._settings.max_sessions_per_endpoint
        return {name: min(share, max(most - counts[name], 0)) for name in names}

    def _make_room(self, wanted: list[str]) -> None:
        """Close the conversations that have been idle longest: of a full endpoint its own, else any."""
        everywhere = len(self._hosted) >= self._settings.max_sessions
        idle = sorted(
            (
                hosted
                for hosted in self._hosted.values()
                if hosted.idle_since is not None and (everywhere or hosted.claim.endpoint in wanted)
            ),
            key=lambda hosted: hosted.idle_since or 0.0,
        )
        for hosted in idle[:MAKE_ROOM]:
            hosted.close()

    def _host(self, claim: claims.Claim) -> None:
        settings = HostSettings(linger=self._settings.linger, run_wait=self._settings.run_wait)
        hosted = Hosted(self._services, self._id, claim, self._runs, settings)
        self._hosted[claim.conversation_id] = hosted
        self._services.trials.expect(claim.conversation_id, claim.deaths)
        # A clean context: Prefect would take the session for a part of whatever is running here.
        self._tasks[claim.conversation_id] = asyncio.create_task(
            self._live(hosted), context=self._context.copy()
        )

    async def _live(self, hosted: Hosted) -> None:
        conversation = hosted.claim.conversation_id
        full = len(self._hosted) >= self._settings.max_sessions
        try:
            due_again = await hosted.live()
        finally:
            self._hosted.pop(conversation, None)
            self._tasks.pop(conversation, None)
        if due_again or full:
            self._look.set()

    # the end

    async def _drain(self) -> None:
        """Finish turns and give conversations back."""
        deadline = time.monotonic() + TURNS_WITHIN + RUNS_WITHIN
        for hosted in list(self._hosted.values()):
            hosted.close()
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=TURNS_WITHIN)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=0.5)
        await self._runs.stop(within=min(max(deadline - time.monotonic(), RUNS_WITHIN), RUNS_AT_MOST))
        await finish_rows(0.5)

    async def _leave(self) -> None:
        with contextlib.suppress(SQLAlchemyError, OSError):
            async with self._services.engine.begin() as connection:
                await claims.stop(connection, self._id)
        log.info("worker_stopped", worker=self._id)


def is_running(pid: int, started: float | None) -> bool:
    """Whether that very process still runs (a pid is used again by others)."""
    try:
        process = psutil.Process(pid)
        return started is None or abs(process.create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return False
