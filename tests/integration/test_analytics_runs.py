"""session_run and Prefect: whichever side is wrong is corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.runs import Known, Reconciled, reconcile

NOW = datetime.now(UTC)


class Prefect:
    """What Prefect knows, and is told."""

    def __init__(self) -> None:
        self.runs: dict[UUID, Known] = {}
        self.told: dict[UUID, str] = {}
        self.asked: list[int] = []

    async def read(self, ids: Sequence[UUID]) -> Mapping[UUID, Known]:
        self.asked.append(len(ids))
        return {id: self.runs[id] for id in ids if id in self.runs}

    async def tell(self, run: UUID, state: str) -> None:
        self.told[run] = state


@pytest.fixture
def prefect() -> Prefect:
    """Prefect, knowing nothing."""
    return Prefect()


async def stored(
    engine: AsyncEngine, *, state: str = "Running", ended: bool = False, alive: bool = False, old: float = 1
) -> UUID:
    """A run of a session, opened `old` hours ago; its worker lives or not."""
    run = uuid4()
    async with engine.begin() as connection:

        async def one(statement: str, **values: Any) -> int:
            return int((await connection.execute(text(statement), values)).scalar_one())

        worker = await one(
            "INSERT INTO worker (host, pid, alive_until) VALUES ('here', 1, now() + :left) RETURNING id",
            left=timedelta(minutes=1 if alive else -1),
        )
        conversation = await one(
            "INSERT INTO conversation (endpoint, external_id) VALUES ('support', :id) RETURNING id",
            id=str(run),
        )
        session = await one("INSERT INTO session (conversation_id) VALUES (:c) RETURNING id", c=conversation)
        await one(
            "INSERT INTO session_run (session_id, conversation_id, worker_id, flow_run_id, name, state, "
            "opened_at, ended_at) VALUES (:s, :c, :w, CAST(:f AS uuid), 'run', :state, :opened, :ended) "
            "RETURNING id",
            s=session,
            c=conversation,
            w=worker,
            f=str(run),
            state=state,
            opened=NOW - timedelta(hours=old),
            ended=NOW - timedelta(hours=old / 2) if ended else None,
        )
        await connection.execute(
            text(
                "INSERT INTO event (endpoint, event_id, conversation_id, session_id, type, body_sha256, at, "
                "outcome, processed_at) VALUES ('support', :e, :c, :s, 'MESSAGE', '', :at, 'input', :at)"
            ),
            {"e": str(run), "c": conversation, "s": session, "at": NOW - timedelta(hours=old * 0.8)},
        )
    return run


async def row(engine: AsyncEngine, run: UUID) -> Any:
    async with engine.connect() as connection:
        query = text("SELECT state, ended_at, turns FROM session_run WHERE flow_run_id = CAST(:f AS uuid)")
        return (await connection.execute(query, {"f": str(run)})).one()


async def compared(engine: AsyncEngine, prefect: Prefect, days: float = 2) -> Reconciled:
    return await reconcile(engine, prefect.read, prefect.tell, now=NOW, days=days)


async def test_a_run_that_crashed_there_crashed_here(engine: AsyncEngine, prefect: Prefect) -> None:
    run = await stored(engine)
    prefect.runs[run] = Known("Crashed", True, NOW - timedelta(minutes=30))
    assert (await compared(engine, prefect)).corrected == 1
    assert tuple(await row(engine, run)) == ("Crashed", NOW - timedelta(minutes=30), 1)


async def test_a_run_that_was_deleted_there_is_deleted_here(engine: AsyncEngine, prefect: Prefect) -> None:
    run, ended = await stored(engine), await stored(engine, state="Completed", ended=True)
    assert (await compared(engine, prefect)).deleted == 2
    assert (await row(engine, run)).state == "Deleted" and (await row(engine, run)).ended_at == NOW
    assert (await row(engine, ended)).ended_at == NOW - timedelta(minutes=30)
    assert (await compared(engine, prefect)).compared == 0


async def test_a_live_workers_run_stays_open_though_it_was_deleted(
    engine: AsyncEngine, prefect: Prefect
) -> None:
    run = await stored(engine, alive=True)
    await compared(engine, prefect)
    assert tuple(await row(engine, run))[:2] == ("Deleted", None)


async def test_a_live_workers_run_is_left_to_the_worker(engine: AsyncEngine, prefect: Prefect) -> None:
    run = await stored(engine, alive=True)
    prefect.runs[run] = Known("Crashed", True, NOW)
    assert (await compared(engine, prefect)).corrected == 0
    assert (await row(engine, run)).state == "Running"


async def test_an_end_that_never_reached_prefect_is_told(engine: AsyncEngine, prefect: Prefect) -> None:
    run = await stored(engine, state="Completed", ended=True)
    prefect.runs[run] = Known("Running", False, None)
    assert (await compared(engine, prefect)).told == 1
    assert prefect.told == {run: "Completed"}


async def test_a_run_whose_worker_died_is_crashed_on_both_sides(
    engine: AsyncEngine, prefect: Prefect
) -> None:
    run = await stored(engine)
    prefect.runs[run] = Known("Running", False, None)
    await compared(engine, prefect)
    assert prefect.told == {run: "Crashed"}
    assert tuple(await row(engine, run)) == ("Crashed", NOW, 1)


async def test_what_agrees_old_or_new_is_left_alone(engine: AsyncEngine, prefect: Prefect) -> None:
    agrees = await stored(engine, state="Completed", ended=True)
    prefect.runs[agrees] = Known("Completed", True, NOW)
    await stored(engine, state="Completed", ended=True, old=24 * 10)
    await stored(engine, old=0.01)
    assert await compared(engine, prefect) == Reconciled(compared=1)


async def test_many_are_asked_for_by_the_batch(
    engine: AsyncEngine, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.analytics.runs.BATCH", 2)
    for _ in range(5):
        prefect.runs[await stored(engine)] = Known("Failed", True, NOW)
    assert (await compared(engine, prefect)).corrected == 5
    assert prefect.asked == [2, 2, 1]
