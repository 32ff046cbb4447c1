"""A reply waits for its Prefect run only while runs open quickly; how runs end with their worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.services import Host
from app.worker import claims
from app.worker.runs import Job
from flows import conversation, runs
from flows.runs import Pace, PrefectRun, PrefectRuns


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
def slow_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrefectRuns]:
    """Runs whose end Prefect never takes."""

    async def run_flow(flow: object, *, parameters: dict[str, Any], **_: object) -> None:
        source: PrefectRun = conversation._work[parameters["inbox"]]
        while (job := await source.next()) is not None:
            assert job.take() and isinstance(job, Job)
            await job.execute()
        await asyncio.Event().wait()

    async def create(run: PrefectRun) -> object:
        return SimpleNamespace(id=uuid4())

    monkeypatch.setattr(runs, "run_flow_async", run_flow)
    made = PrefectRuns(tmp_path)
    monkeypatch.setattr(made, "_create", create)
    monkeypatch.setattr(made, "_context", copy_context(), raising=False)
    monkeypatch.setattr(made, "_flow", None, raising=False)
    yield made


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
