"""A reply waits for its Prefect run only while runs open quickly."""

from __future__ import annotations

import asyncio
import time

from flows.runs import Pace, PrefectRun


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
