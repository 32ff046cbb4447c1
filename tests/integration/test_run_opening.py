"""A reply waits for its Prefect run only while runs open quickly; how runs end with their worker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.conversation.services import Host
from app.worker import claims
from app.worker.runs import Job
from flows import runs
from flows.run import Pace, PrefectRun
from flows.runs import PrefectRuns


async def waited(run: PrefectRun, within: float) -> float:
    """Seconds that a first turn waits for the run."""
    began = time.monotonic()
    await run.opened(within)
    return time.monotonic() - began


async def test_a_run_is_waited_for_as_long_as_allowed() -> None:
    assert 0.05 <= await waited(PrefectRun("a", [], 1, Pace()), 0.05) < 2


async def test_after_a_run_that_opened_too_late_the_next_one_is_not_waited_for() -> None:
    pace = Pace()
    slow = PrefectRun("slow", [], 1, pace)
    await asyncio.sleep(0.03)
    slow.close()
    await slow.next()
    assert await waited(PrefectRun("next", [], 1, pace), 0.02) < 0.01


async def test_runs_that_open_quickly_again_are_waited_for_again() -> None:
    pace = Pace()
    pace.last = 9.0
    quick = PrefectRun("quick", [], 1, pace)
    quick.close()
    await quick.next()
    assert 0.05 <= await waited(PrefectRun("next", [], 1, pace), 0.05) < 2


@pytest.fixture
async def slow_prefect(tmp_path: Path) -> PrefectRuns:
    """Runs whose end Prefect never takes."""

    class Slow:
        async def create(self, run: PrefectRun) -> object:
            return SimpleNamespace(id=uuid4())

        async def run(self, source: PrefectRun, flow_run: object) -> None:
            while (job := await source.next()) is not None:
                assert job.take() and isinstance(job, Job)
                await job.execute()
            await asyncio.Event().wait()

    made = PrefectRuns(tmp_path)
    made._ready(Slow())  # type: ignore[arg-type]  # what is used of it
    return made


def opened(made: PrefectRuns) -> PrefectRun:
    run = made.open(endpoint="support", conversation="ID-0", bot="bots:bot", session=1, number=1)
    assert run is not None
    return run


async def test_a_run_whose_turns_are_over_is_completed_also_when_prefect_is_too_slow_for_its_end(
    slow_prefect: PrefectRuns,
) -> None:
    async def handle(host: Host) -> None:
        """A turn."""

    run = opened(slow_prefect)
    await run.turn(handle)
    await slow_prefect.stop(within=1.2)
    assert (run.ended, run.final_state) == (True, "Completed")


async def test_a_run_that_is_cut_off_in_a_turn_has_crashed(slow_prefect: PrefectRuns) -> None:
    async def handle(host: Host) -> None:
        await asyncio.Event().wait()

    run = opened(slow_prefect)
    turn = asyncio.create_task(run.turn(handle))
    assert await run.opened(5)
    await asyncio.sleep(0)
    await slow_prefect.stop(within=1.2)
    assert (run.ended, run.final_state) == (True, "Crashed")
    await asyncio.gather(turn, return_exceptions=True)


async def test_runs_are_there_before_prefect_is_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported, created, marked = threading.Event(), asyncio.Event(), asyncio.Event()
    seen: list[object] = []

    class Prefect:
        async def create(self, run: PrefectRun) -> object:
            seen.append(run.name)
            created.set()
            return SimpleNamespace(id=uuid4())

        async def run(self, source: PrefectRun, flow_run: object) -> None:
            while await source.next() is not None:
                raise AssertionError("nothing is asked of it")

        async def running(self, tags: list[str], before: datetime) -> set[UUID]:
            return set()

        async def mark_crashed(self, flow_run: UUID) -> None:
            seen.append(flow_run)
            marked.set()

    @asynccontextmanager
    async def entered(folder: Path) -> AsyncIterator[Prefect]:
        yield Prefect()
        seen.append("left")

    def import_late(name: str) -> object:
        assert imported.wait(10)
        return SimpleNamespace(entered=entered)

    monkeypatch.setattr(runs, "import_late", import_late)
    made = PrefectRuns(tmp_path)
    await made.start()
    dead = uuid4()
    made.taken_over(endpoint="support", conversation="ID-0", left=[dead])
    run = opened(made)
    assert await waited(run, 5) < 2 and not await run.opened(5)
    await asyncio.sleep(0.1)
    imported.set()
    async with asyncio.timeout(5):
        await asyncio.gather(created.wait(), marked.wait())
    assert await run.opened(5)
    assert set(seen) == {dead, "support · ID-0 · 1.1"}
    # The next one is waited for: how long the import took says nothing of Prefect's pace.
    assert 0.05 <= await waited(PrefectRun("next", [], 1, made._pace), 0.05) < 2
    await made.stop(within=2)
    assert seen[-1] == "left"


async def test_where_prefect_can_not_be_imported_turns_go_on_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_late(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(runs, "import_late", import_late)
    made = PrefectRuns(tmp_path)
    with capture_logs() as logged:
        await made.start()
        run = opened(made)
        async with asyncio.timeout(5):
            await run.wait_closed()
    assert run.final_state == "Failed" and not await run.opened(1)
    assert made.open(endpoint="support", conversation="ID-1", bot="bots:bot", session=1, number=1) is None
    assert [each["event"] for each in logged if each["log_level"] == "error"] == ["prefect_not_usable"]
    await made.stop(within=1)


async def test_where_prefect_can_not_be_entered_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    class Prefect:
        async def create(self, run: PrefectRun) -> object:
            return SimpleNamespace(id=uuid4())

        async def run(self, source: PrefectRun, flow_run: object) -> None:
            assert await source.next() is None

    @asynccontextmanager
    async def entered(folder: Path) -> AsyncIterator[Prefect]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("Failed to reach API")
        yield Prefect()

    monkeypatch.setattr(runs, "REST_AFTER_FAILURE", 0.3)
    monkeypatch.setattr(runs, "import_late", lambda name: SimpleNamespace(entered=entered))
    made = PrefectRuns(tmp_path)
    await made.start()
    early = opened(made)
    async with asyncio.timeout(10):
        while (
            late := made.open(endpoint="support", conversation="ID-1", bot="b:b", session=1, number=1)
        ) is not None and tries < 2:
            late.close()
            await asyncio.sleep(0.01)
        await made._prefect()
    assert tries == 2
    early.close()
    run = opened(made)
    run.close()
    async with asyncio.timeout(5):
        await asyncio.gather(early.wait_closed(), run.wait_closed())
    assert (early.final_state, run.final_state) == ("Completed", "Completed")
    await made.stop(within=2)


async def test_a_stop_does_not_wait_for_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = threading.Event()
    monkeypatch.setattr(runs, "import_late", lambda name: imported.wait(30))
    made = PrefectRuns(tmp_path)
    await made.start()
    run = opened(made)
    began = time.monotonic()
    await made.stop(within=20)
    assert time.monotonic() - began < 5
    assert run.ended
    imported.set()


async def test_a_worker_that_stops_ends_the_runs_of_what_it_gave_back(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        worker = await claims.register(connection, host="h", pid=1, started=0.0, lease=timedelta(seconds=15))
        for number, owner in ((1, None), (2, worker)):
            for statement in (
                "INSERT INTO conversation (endpoint, external_id, owner) VALUES ('support', :id, :owner)",
                "INSERT INTO session (conversation_id) VALUES (:n)",
                "INSERT INTO session_run (session_id, conversation_id, worker_id, name) "
                "VALUES (:n, :n, :worker, 'run')",
            ):
                values = {"n": number, "id": f"ID-{number}", "owner": owner, "worker": worker}
                await connection.execute(text(statement), values)
        await claims.stop(connection, worker)
        rows = await connection.execute(
            text("SELECT state, ended_at IS NOT NULL FROM session_run ORDER BY id")
        )
        assert [tuple(row) for row in rows] == [("Completed", True), ("Running", False)]
