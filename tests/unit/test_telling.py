"""Prefect is told of turns at its pace: those of a burst later, in order, in their own context."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from structlog.testing import capture_logs

from flows.telling import Telling

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


def idle() -> bool:
    """The machine has time."""
    return False


async def until_told(told: list[int], wanted: int) -> float:
    """Seconds until so many were told."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.timeout(10):
        while len(told) < wanted:  # noqa: ASYNC110 - it is a timer that tells
            await asyncio.sleep(0.005)
    return loop.time() - begun


async def test_a_burst_is_told_at_once_and_the_rest_later_in_order() -> None:
    told: list[int] = []
    telling = Telling(a_second=100, burst=10, busy=idle)
    for number in range(40):
        telling.tell(lambda number=number: told.append(number))  # type: ignore[misc]
    at_once = len(told)
    assert 10 <= at_once <= 12
    took = await until_told(told, 40)
    assert took >= (40 - at_once - 1) / 100
    assert told == list(range(40))


async def test_after_a_quiet_while_a_burst_is_told_at_once_again() -> None:
    told: list[int] = []
    telling = Telling(a_second=200, burst=10, busy=idle)
    for number in range(20):
        telling.tell(lambda number=number: told.append(number))  # type: ignore[misc]
    await until_told(told, 20)
    await asyncio.sleep(0.1)  # the time in which the burst grows to ten again
    for number in range(20, 30):
        telling.tell(lambda number=number: told.append(number))  # type: ignore[misc]
    assert len(told) == 30


async def test_a_busy_machine_is_told_less_and_the_rest_once_it_has_time() -> None:
    told: list[int] = []
    busy = True
    telling = Telling(a_second=1000, a_busy_second=5, burst=2, busy=lambda: busy)
    for number in range(30):
        telling.tell(lambda number=number: told.append(number))  # type: ignore[misc]
    await until_told(told, 4)
    assert len(told) < 10
    busy = False
    took = await until_told(told, 30)
    assert took < 2  # a fifth of a second each would be five
    assert told == list(range(30))


async def test_each_is_told_in_the_context_it_was_given_in() -> None:
    told: list[str] = []
    telling = Telling(a_second=100, burst=1, busy=idle)
    for name in ("first", "second", "third"):
        REQUEST.set(name)
        telling.tell(lambda: told.append(REQUEST.get()))
    REQUEST.set("other")
    telling.flush()
    assert told == ["first", "second", "third"]


async def test_more_than_may_wait_is_left_out_and_said_so_once() -> None:
    told: list[int] = []
    telling = Telling(a_second=1000, burst=1, most=5, busy=idle)
    with capture_logs() as logs:
        for number in range(20):
            telling.tell(lambda number=number: told.append(number))  # type: ignore[misc]
        left_out = telling.left_out
        assert left_out > 0
        await until_told(told, 20 - left_out)
    assert [line["event"] for line in logs] == ["turns_not_in_prefect", "turns_left_out_of_prefect"]
    assert logs[1]["turns"] == left_out and telling.left_out == 0
