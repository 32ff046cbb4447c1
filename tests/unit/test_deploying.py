"""Deploying the scheduled flows: with the pool, again after a failure, never left running."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.supervisor.deploying import deploy
from app.supervisor.part import Process, spawn


def answers(value: bool) -> Callable[[], Awaitable[bool]]:
    """A pool that is there, or isn't."""

    async def pool() -> bool:
        return value

    return pool


def command(code: str) -> Process:
    """A Python process that runs `code`."""
    return spawn([sys.executable, "-c", code], {})


async def test_a_command_that_fails_is_run_again_until_it_succeeds(tmp_path: Path) -> None:
    codes = [1, 1, 0]

    def start() -> Process:
        return command(f"import sys; sys.exit({codes.pop(0)})")

    await asyncio.wait_for(deploy(start, answers(True), pauses=(0.01,)), 30)
    assert codes == []


async def test_nothing_is_started_before_the_pool_is_there() -> None:
    there = False
    started = asyncio.Event()

    async def pool() -> bool:
        return there

    def start() -> Process | None:
        assert there
        started.set()
        return None

    deploying = asyncio.create_task(deploy(start, pool))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(started.wait(), 0.5)
    there = True
    await asyncio.wait_for(deploying, 10)
    assert started.is_set()


async def test_it_is_tried_without_the_pool_when_that_does_not_come() -> None:
    started = 0

    def start() -> Process | None:
        nonlocal started
        started += 1
        return None

    await asyncio.wait_for(deploy(start, answers(False), patience=0.2), 10)
    assert started == 1


async def test_a_command_that_still_runs_is_killed_when_it_is_cancelled() -> None:
    made: list[Process] = []

    def start() -> Process:
        made.append(command("import time; time.sleep(600)"))
        return made[-1]

    deploying = asyncio.create_task(deploy(start, answers(True)))
    deadline = time.monotonic() + 10
    while not made:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    deploying.cancel()
    await asyncio.gather(deploying, return_exceptions=True)
    assert made[0].poll() is not None
