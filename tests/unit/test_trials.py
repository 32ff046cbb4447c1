"""Suspects are handled one at a time, but a slow one holds the others up for a moment only."""

from __future__ import annotations

import asyncio

from app.conversation.quarantine import alone


async def test_one_at_a_time() -> None:
    lock = asyncio.Lock()
    async with alone(lock, 5):
        assert lock.locked()
        waiting = asyncio.create_task(_pass(lock))
        await asyncio.sleep(0)
        assert not waiting.done()
    async with asyncio.timeout(1):
        await waiting


async def test_a_slow_one_lets_the_others_go_on() -> None:
    lock = asyncio.Lock()
    async with asyncio.timeout(2), alone(lock, 0.01):
        await _pass(lock)
    assert not lock.locked()


async def _pass(lock: asyncio.Lock) -> None:
    async with alone(lock, 5):
        pass
