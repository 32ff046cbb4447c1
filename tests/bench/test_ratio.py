"""The gate on speed: a ratio within one run, which holds on fast machines and slow ones."""

from __future__ import annotations

import pytest

from tests.bench import sections
from tests.bench.figures import p99
from tests.bench.stage import everything, forget_environment, some
from tests.bench.traffic import Traffic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(290)]

#: Parley sustains at least so many times what a flow run for each event does.
TIMES = 15
#: Messages a second where the search for the naive way's rate begins; it is taken to sustain no less.
FIRST = 2.5
#: 99 of 100 replies come within so many ms, for both.
WITHIN = 4 * sections.SUSTAINED_P99


async def test_parley_sustains_fifteen_times_the_naive_way() -> None:
    forget_environment()
    async with some(naive=True) as stage, Traffic(stage) as traffic:
        found = await sections.sustained(
            traffic, first=FIRST, factor=1.26, most=40, p99_within=WITHIN, short=8.0, long=8.0
        )
    naive = found.rate if found is not None else FIRST
    async with everything() as stage, Traffic(stage) as traffic:
        await sections.warm_up(traffic)
        talks = await traffic.talks(sections.TALKS)
        await traffic.measure(await traffic.messages(talks, 40), 10.0)
        rate = TIMES * max(naive, FIRST)
        measured = await traffic.measure(await traffic.messages(talks, int(rate * 10)), rate)
    assert measured.complete, sections.described("Parley", measured)
    assert p99(measured.replies) <= WITHIN, sections.described("Parley", measured)
