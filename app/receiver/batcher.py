"""Group commit: events that arrive while others are being committed go together in the next statement.

Two statements are under way at most, so that one is prepared while the other waits for the disk. A batch
waits only briefly for a locked row (a turn that hangs); then its events are stored one by one. Events of
one conversation are never under way twice, which keeps them in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from app.receiver.inbox import Arrival, Result, Stored, Unavailable
from app.receiver.lanes import Lanes, WriteOne
from app.receiver.pending import Pending

log = structlog.get_logger()

#: Stores arrivals in one transaction.
WriteMany = Callable[[Sequence[Arrival]], Awaitable[list[Stored]]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is done and kept at a time."""

    statements: int = 2
    batch: int = 64
    batch_bytes: int = 4 * 1024 * 1024
    waiting: int = 4000
    held_bytes: int = 64 * 1024 * 1024
    patience: float = 3.0
    """Seconds after which an event that still waits is refused: its sender has given up by then."""


class Batcher:
    """Stores the events of many requests together."""

    def __init__(self, together: WriteMany, singly: WriteOne, bounds: Bounds | None = None) -> None:
        """`together` waits briefly for a locked row, `singly` as long as the receiver may."""
        self._together = together
        self._lanes = Lanes(singly)
        self._bounds = bounds or Bounds()
        self._queue: deque[Pending] = deque()
        self._known: dict[tuple[str, str], Pending] = {}
        self._busy: set[tuple[str, str]] = set()
        self._held = 0
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Events that no statement has taken yet."""
        return len(self._queue) + self._lanes.waiting

    async def store(self, arrival: Arrival) -> Stored:
        """Store an event; it is committed when this returns. Raises Unavailable."""
        key = (arrival.endpoint, arrival.event_id)
        while (twin := self._known.get(key)) is not None and not twin.done.done():
            await asyncio.wait([twin.done])
            if twin.stored is not None and twin.arrival.body_sha256 == arrival.body_sha256:
                return Stored(Result.DUPLICATE, twin.stored.conversation_id)
        if len(self._queue) >= self._bounds.waiting or self._held > self._bounds.held_bytes:
            raise Unavailable("too many events are waiting")
        pending = Pending(arrival, asyncio.get_running_loop().time() + self._bounds.patience)
        self._known[key] = pending
        self._held += len(arrival.body)
        self._queue.append(pending)
        self._start()
        try:
            return await pending.done
        finally:
            self._held -= len(arrival.body)
            if self._known.get(key) is pending:
                del self._known[key]

    async def aclose(self) -> None:
        """Finish what waits."""
        while self._running:
            await asyncio.wait(self._running)
        await self._lanes.aclose()

    def _start(self) -> None:
        if self._queue and len(self._running) < self._bounds.statements:
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._running:  # what was left waiting for another batch's conversations
            self._start()

    async def _run(self) -> None:
        while batch := self._take():
            conversations = {found for pending in batch if (found := pending.arrival.conversation)}
            self._busy |= conversations
            try:
                await self._write(batch)
            finally:
                self._busy -= conversations

    def _take(self) -> list[Pending]:
        """The next batch: what came first, without conversations that another batch has."""
        batch: list[Pending] = []
        left: list[Pending] = []
        size = 0
        while self._queue and len(batch) < self._bounds.batch and size < self._bounds.batch_bytes:
            pending = self._queue.popleft()
            if pending.expired():
                continue
            if self._lanes.claims(pending.arrival):
                self._lanes.add(pending)
            elif pending.arrival.conversation in self._busy:
                left.append(pending)
            else:
                batch.append(pending)
                size += len(pending.arrival.body)
        self._queue.extendleft(reversed(left))
        return batch

    async def _write(self, batch: list[Pending]) -> None:
        try:
            results = await self._together([pending.arrival for pending in batch])
        except Unavailable as refusal:
            for pending in batch:
                pending.settle(refusal)
        except asyncpg.PostgresError as error:  # about one of them, but not which
            log.info("batch_taken_apart", events=len(batch), error=type(error).__name__)
            for pending in batch:
                self._lanes.add(pending)
        except Exception as error:
            log.error("batch_failed", events=len(batch), error=type(error).__name__)
            for pending in batch:
                pending.settle(Unavailable("the receiver failed"))
        else:
            for pending, result in zip(batch, results, strict=True):
                pending.settle(result)
