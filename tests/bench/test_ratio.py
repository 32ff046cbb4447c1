"""The gate on speed: ratios within one run, which hold on fast machines and slow ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.bench import sections, usage
from tests.bench.figures import p50, p99
from tests.bench.stage import everything, forget_environment, some
from tests.bench.traffic import Measured, Traffic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(290)]

#: Parley answers at least so many times what a flow run for each event does.
TIMES = 15
#: Messages a second that the naive way is asked for, and what Parley is asked for then; each for so long.
NAIVE, SECONDS = 2.5, 10.0
#: 99 of 100 of Parley's replies come within so many ms.
WITHIN = 4 * sections.SUSTAINED_P99
#: Parley's replies come at least so many times sooner, and take so many times less of the worker's CPU.
SOONER, CHEAPER = 4, 8


@dataclass(frozen=True, slots=True)
class Result:
    """What a rate came to; `cpu`: seconds of the worker's CPU for each message."""

    measured: Measured
    cpu: float


async def test_parley_does_fifteen_times_what_the_naive_way_does_and_sooner_for_less() -> None:
    forget_environment()
    async with some(naive=True) as stage, Traffic(stage) as traffic:
        naive = await at_rate(traffic, NAIVE, "naive worker")
    async with everything() as stage, Traffic(stage) as traffic:
        await sections.warm_up(traffic)
        parley = await at_rate(traffic, TIMES * NAIVE, "worker")
    said = f"{sections.described('Parley', parley.measured)}\n{sections.described('naive', naive.measured)}"
    said += f"\nCPU of the worker for each message: {parley.cpu * 1000:.1f} and {naive.cpu * 1000:.1f} ms"
    print(said)  # noqa: T201 - shown with -s, and when it fails
    assert parley.measured.complete, said
    assert p99(parley.measured.replies) <= WITHIN, said
    assert p50(parley.measured.replies) * SOONER <= p50(naive.measured.replies), said
    assert parley.cpu * CHEAPER <= naive.cpu, said


async def at_rate(traffic: Traffic, rate: float, worker: str) -> Result:
    """Messages at a rate to conversations that are open."""
    talks = await traffic.talks(sections.TALKS)
    await traffic.measure(await traffic.messages(talks, 2 * sections.TALKS), min(rate, 10.0))
    shots = await traffic.messages(talks, int(rate * SECONDS))
    before = usage.usage()
    measured = await traffic.measure(shots, rate)
    spent = usage.usage().parts.get(worker, 0.0) - before.parts.get(worker, 0.0)
    return Result(measured, spent / len(shots))
