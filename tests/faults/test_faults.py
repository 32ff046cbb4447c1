"""The short part of `make faults`, and what else a crowd, a dead 8x8 or a cut connection must not do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import median

import psutil
import pytest

from app.sandbox import calls
from app.sandbox.faults import AnswerLost
from tests.bench.load import Shot, as_fast_as_possible
from tests.bench.stage import ENDPOINTS as BENCH
from tests.bench.traffic import REPLY, Talk, Traffic
from tests.faults import ledger
from tests.faults.report import table
from tests.faults.run import Plan, play
from tests.faults.stage import Stage, stage

pytestmark = pytest.mark.timeout(300)

#: The order of troubles in this short run.
SEED = 23
SHORT = ("worker", "both-workers", "receiver", "postgresql", "answer-lost", "duplicates", "errors-500")

_QUEUE = "SELECT count(*) FROM event WHERE processed_at IS NULL"


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Everything but Prefect, which nothing here waits for."""
    folder: Path = tmp_path_factory.mktemp("faults")
    async with stage(folder / "parley", prefect=False) as scene:
        await scene.back("second worker", within=60)
        yield scene


@pytest.fixture(scope="module")
async def traffic(scene: Stage) -> AsyncIterator[Traffic]:
    """Users whose messages are signed beforehand."""
    async with Traffic(scene.bench) as traffic:
        yield traffic


async def test_in_a_short_run_nothing_is_lost_doubled_or_reordered(scene: Stage) -> None:
    plan = Plan(SEED, 20.0, talks=12, rate=5.0, only=SHORT, prefect=False)
    result = await play(scene, plan, say=lambda line: None)
    assert result.verdict.counts["messages of users"] > 80
    assert {each.name for each in result.happened if each.hits} & {"worker", "both-workers"}
    assert not result.unmet
    assert not result.verdict.violations, "\n".join(table(result))
    assert not result.verdict.explained  # nothing here keeps a message from being read back


async def test_a_listen_connection_that_the_database_ends_costs_two_seconds_at_most(
    scene: Stage, traffic: Traffic
) -> None:
    [talk] = await some_talks(traffic, 1, BENCH[0])
    await answered(traffic, talk)
    listeners = "FROM pg_stat_activity WHERE application_name = 'parley listen'"
    for _ in range(3):
        async with asyncio.timeout(20):
            while len(await scene.rows(f"SELECT pid {listeners}")) != 2:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        ended = await scene.rows(f"SELECT pg_terminate_backend(pid) {listeners}")
        assert len(ended) == 2
        assert await answered(traffic, talk) < 2.0


async def test_an_endpoint_whose_8x8_hangs_keeps_no_other_waiting(scene: Stage, traffic: Traffic) -> None:
    crowd = await some_talks(traffic, 500, BENCH[0])
    others = await some_talks(traffic, 5, BENCH[1])
    await answered(traffic, others[0])
    hangs = AnswerLost(tenant=BENCH[0], how="hang", hold_ms=20_000)  # twice as long as anybody waits
    fault = (await scene.sandbox(calls.add_fault(hangs))).id
    try:
        shots = await traffic.messages(crowd, len(crowd))
        await as_fast_as_possible(traffic.pool, shots, at_once=32, seconds=60)
        assert {shot.status for shot in shots} == {200}
        during = [await answered(traffic, talk) for talk in others]
    finally:
        await scene.sandbox(calls.remove_fault(fault))
    assert median(during) < 1.0, during
    assert max(during) < 3.0, during  # the first ones while 500 turns take all of the CPU
    assert await ledger.quiet(scene, within=150) == 0
    assert await replies(traffic, shots) == [1] * len(shots)


async def test_more_than_can_be_handled_is_acknowledged_kept_and_handled_later(
    scene: Stage, traffic: Traffic
) -> None:
    talks = [*await some_talks(traffic, 30, BENCH[0]), *await some_talks(traffic, 30, BENCH[1])]
    await traffic.measure(await traffic.messages(talks, 60), 20.0)
    shots = await traffic.messages(talks, 1500)
    before = memory(scene)
    begun = time.monotonic()
    await as_fast_as_possible(traffic.pool, shots, at_once=32, seconds=120)
    took = time.monotonic() - begun
    refused = [shot for shot in shots if shot.status != 200]
    assert len(refused) <= len(shots) / 10, "what the database has no time for is refused, and sent again"
    while refused and time.monotonic() < begun + 120:
        assert {shot.status for shot in refused} == {503}
        await as_fast_as_possible(traffic.pool, refused, at_once=4, seconds=60)
        refused = [shot for shot in refused if shot.status != 200]
    assert not refused
    waiting = int((await scene.rows(_QUEUE))[0][0])
    assert await ledger.quiet(scene, within=200) == 0
    drained = time.monotonic() - begun
    assert waiting > 100 and drained > 2 * took, (
        f"no overload: {waiting} waited, {took:.1f} of {drained:.1f} s"
    )
    assert await replies(traffic, shots) == [1] * len(shots)
    grown = {name: memory(scene)[name] - size for name, size in before.items()}
    assert max(grown.values()) < 100, f"megabytes more: {grown}"


async def some_talks(traffic: Traffic, number: int, endpoint: str) -> list[Talk]:
    """New conversations of one endpoint."""
    talks = await traffic.talks(2 * number)
    return [talk for talk in talks if talk.endpoint == endpoint][:number]


async def answered(traffic: Traffic, talk: Talk) -> float:
    """Seconds until a message of that user is answered."""
    measured = await traffic.measure(await traffic.messages([talk], 1), 1.0)
    assert measured.complete
    return measured.replies[0] / 1000


async def replies(traffic: Traffic, shots: Sequence[Shot]) -> list[int]:
    """How often each message was answered."""
    found = await traffic.all_replies()
    return [found.count(REPLY + shot.text) for shot in shots]


def memory(scene: Stage) -> dict[str, int]:
    """Megabytes that receiver and workers hold."""
    parts = {name: scene.parley.part(name) for name in ("receiver", "worker")}
    pids = {name: part.pid for name, part in parts.items() if part is not None}
    assert scene.second.pid is not None and len(pids) == 2
    pids["second worker"] = scene.second.pid
    return {name: psutil.Process(pid).memory_info().rss // 2**20 for name, pid in pids.items()}
