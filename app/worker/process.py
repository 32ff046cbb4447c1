"""A worker as a process: the event loop in a thread of its own, signals and the watchdog in the main one.

In the main thread Prefect would replace the handler of SIGTERM, and every open run would end Crashed.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog

from app.analytics.collecting import note_collecting
from app.bots import load_bot
from app.conversation.ids import IdPools, Ids
from app.conversation.pauses import Pauses
from app.conversation.services import Services
from app.conversation.step_threads import StepThreads
from app.database.engine import WORKER, create_engine
from app.endpoints import Endpoints
from app.files.service import FileService
from app.gateway.client import GatewayClient
from app.processes import keep_out_of_collections
from app.reloading import Reloader, replace_endpoints
from app.settings import Settings
from app.worker.runs import NoRuns, Runs
from app.worker.watchdog import Watchdog
from app.worker.worker import Worker

log = structlog.get_logger(__name__)

#: How long a worker may take to end before it is ended.
DRAIN = 10.0


def run(
    settings: Settings,
    endpoints: Endpoints,
    *,
    database_url: str,
    make_runs: Callable[[], Runs] = NoRuns,
) -> int:
    """Work until SIGINT or SIGTERM; the exit code. `make_runs` is called in the event loop's thread."""
    process = _Process(settings, endpoints, database_url, make_runs)
    return process.run()


class _Process:
    def __init__(
        self, settings: Settings, endpoints: Endpoints, url: str, make_runs: Callable[[], Runs]
    ) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._url = url
        self._make_runs = make_runs
        self._watchdog = Watchdog(settings.stuck_after)
        self._stop = threading.Event()
        self._done = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._reloader: Reloader | None = None

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_hangup)
        thread = threading.Thread(target=self._thread, name="sessions", daemon=True)
        thread.start()
        while not self._stop.is_set() and not self._done.wait(0.5):
            self._watchdog.check()
        self._watchdog.stop()
        self._ask_to_stop()
        if not self._done.wait(DRAIN):
            log.error("drain_timed_out")
            return 1
        if self._failure is not None:
            raise self._failure
        return 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        """Read endpoints.yaml again."""
        if self._loop is not None and self._reloader is not None:
            self._loop.call_soon_threadsafe(self._reloader.soon)

    def _ask_to_stop(self) -> None:
        if self._loop is not None and self._worker is not None and not self._done.is_set():
            self._loop.call_soon_threadsafe(self._worker.stop)

    def _thread(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                self._loop = runner.get_loop()
                runner.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._done.set()

    async def _main(self) -> None:
        watchdog = asyncio.create_task(self._watchdog.feed())
        engine = create_engine(self._url, WORKER, application="parley work")
        endpoints = self._endpoints.by_name()
        gateway = GatewayClient()
        threads = StepThreads(self._settings.step_threads)
        ids = IdPools(
            session=Ids(engine, "session_id_seq"),
            dialog=Ids(engine, "dialog_id_seq"),
            delivery=Ids(engine, "delivery_id_seq", block=500),
            timer=Ids(engine, "timer_id_seq"),
            handover=Ids(engine, "handover_id_seq"),
        )
        services = Services(
            engine=engine,
            ids=ids,
            gateway=gateway,
            endpoints=endpoints,
            bots=load_bot,
            threads=threads,
            pauses=Pauses(engine, endpoints),
            files=FileService.open(self._endpoints.files, self._settings),
        )
        worker = Worker(self._settings, services, self._make_runs(), self._url, self._endpoints.alerts)
        self._worker = worker
        if self._stop.is_set():
            return
        await note_collecting(self._url, endpoints.values())

        def apply(new: Endpoints) -> None:
            replace_endpoints(endpoints, new)
            worker.tell_alerts(new.alerts)

        self._reloader = Reloader(
            self._settings,
            "worker",
            apply,
            prepare=lambda new: note_collecting(self._url, new.endpoints),
        )
        listening = asyncio.create_task(self._reloader.listen(self._url))
        keep_out_of_collections()
        try:
            await self._worker.run()
        finally:
            listening.cancel()
            threads.shutdown()
            await gateway.aclose()
            await engine.dispose()
            watchdog.cancel()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop
