"""Work that several ask for at the same time: it is done once, a few at a time, and few may wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from app.errors import ParleyError

T = TypeVar("T")


class Busy(ParleyError):
    """Too much is asked for at the same time."""


class Flights(Generic[T]):
    """Does work by key: `at_once` at a time, while at most `waiting` others wait for their turn."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._most = at_once + waiting
        self._turn = asyncio.Semaphore(at_once)
        self._flights: dict[str, asyncio.Task[T]] = {}

    async def join(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives; of those who ask for one key at the same time only the first has it done.

        Raises what `work` raises, and Busy before it has begun.
        """
        flight = self._flights.get(key)
        if flight is None:
            if len(self._flights) >= self._most:
                raise Busy
            flight = self._flights[key] = asyncio.create_task(self._fly(work))
            flight.add_done_callback(lambda _: self._landed(key))
        return await asyncio.shield(flight)  # whoever gives up leaves it to the others

    def close(self) -> None:
        """Let go of everything."""
        for flight in self._flights.values():
            flight.cancel()

    async def _fly(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            return await work()

    def _landed(self, key: str) -> None:
        flight = self._flights.pop(key)
        if not flight.cancelled():
            flight.exception()  # nobody may be left to hear of it
