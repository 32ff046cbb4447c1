"""The slow path: events of a conversation whose row is locked, stored one by one, in order.

Each such conversation has a lane of its own for a while, so that it holds up nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from app.receiver.inbox import Arrival, Stored, Unavailable
from app.receiver.pending import Pending

log = structlog.get_logger()

WriteOne = Callable[[Arrival], Awaitable[Stored]]
_Key = tuple[str, str]


class Lanes:
    """Stores events one by one: in order within a conversation, several conversations at once."""

    def __init__(self, write: WriteOne, *, at_once: int = 4, apart: float = 5.0) -> None:
        """A conversation stays apart for `apart` seconds after its row was found locked."""
        self._write = write
        self._turn = asyncio.Semaphore(at_once)
        self._seconds = apart
        self._apart: dict[_Key, float] = {}
        self._lanes: dict[_Key, deque[Pending]] = {}
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Events in all lanes."""
        return sum(len(lane) for lane in self._lanes.values())

    def claims(self, arrival: Arrival) -> bool:
        """Whether an event must go this way: behind others of its conversation, or because it was locked."""
        if not self._lanes and not self._apart:
            return False
        key = _key(arrival)
        until = self._apart.get(key)
        if until is not None and until <= asyncio.get_running_loop().time():
            del self._apart[key]
            until = None
        return until is not None or key in self._lanes

    def add(self, pending: Pending) -> None:
        """Put an event at the end of its conversation's lane."""
        key = _key(pending.arrival)
        if key in self._lanes:
            self._lanes[key].append(pending)
            return
        self._lanes[key] = deque([pending])
        task = asyncio.create_task(self._run(key))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def aclose(self) -> None:
        """Finish what waits."""
        while self._running:
            await asyncio.wait(self._running)

    async def _run(self, key: _Key) -> None:
        lane = self._lanes[key]
        try:
            while lane:
                async with self._turn:
                    await self._store(key, lane.popleft())
        finally:
            del self._lanes[key]

    async def _store(self, key: _Key, pending: Pending) -> None:
        if pending.expired():
            return
        try:
            pending.settle(await self._write(pending.arrival))
        except Unavailable as refusal:
            pending.settle(refusal)
        except asyncpg.LockNotAvailableError:
            now = asyncio.get_running_loop().time()
            self._apart = {other: until for other, until in self._apart.items() if until > now}
            self._apart[key] = now + self._seconds
            pending.settle(Unavailable("its conversation is busy"))
        except Exception as error:
            log.error("event_not_stored", endpoint=pending.arrival.endpoint, error=_name(error))
            pending.settle(Unavailable("the database refuses it"))


def _key(arrival: Arrival) -> _Key:
    """The conversation; an event without one is on its own."""
    return arrival.conversation or (arrival.endpoint, f"event {arrival.event_id}")


def _name(error: Exception) -> str:
    """Type and SQLSTATE: the text could hold a user's."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
