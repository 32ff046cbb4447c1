"""Group commit: events that arrive while others are being committed go together in the next statement.

Two statements are under way at most, so that one is prepared while the other waits for the disk. An event
that nobody waits for (a message of the bot that comes back) goes with the next of the others, or alone a
moment later: half of all events are such, and what they don't take is left for those that are waited for.

A batch waits only briefly for a locked row (a turn that hangs); then its events are stored one by one. Events
of one conversation are never under way twice, which keeps them in order.
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
    company: float = 0.02
    """Seconds for which an event that nobody waits for may wait for others to go with."""


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
        self._hurried = 0
        """How many in the queue are waited for."""
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Events that no statement has taken yet."""
        return len(self._queue) + self._lanes.waiting

    async def store(self, arrival: Arrival, *, hurried: bool = True) -> Stored:
        """Store an event; it is committed when this returns. Raises Unavailable.

        One that isn't `hurried` may wait a moment for others to be stored with.
        """
        key = (arrival.endpoint, arrival.event_id)
        while (twin := self._known.get(key)) is not None and not twin.done.done():
            await asyncio.wait([twin.done])
            if twin.stored is not None and twin.arrival.body_sha256 == arrival.body_sha256:
                return Stored(Result.DUPLICATE, twin.stored.conversation_id)
        if len(self._queue) >= self._bounds.waiting or self._held > self._bounds.held_bytes:
            raise Unavailable("too many events are waiting")
        now = asyncio.get_running_loop().time()
        company = None if hurried else now + self._bounds.company
        pending = Pending(arrival, now + self._bounds.patience, company_until=company)
        self._known[key] = pending
        self._held += len(arrival.body)
        self._queue.append(pending)
        self._hurried += hurried
        self._start()
        try:
            return await pending.done
        finally:
            self._held -= len(arrival.body)
            if self._known.get(key) is pending:
                del self._known[key]

    async def aclose(self) -> None:
        """Finish what waits."""
        self._closing = True
        self._start()
        while self._running:
            await asyncio.wait(self._running)
        await self._lanes.aclose()

    def _start(self) -> None:
        if len(self._running) < self._bounds.statements and self._may_go():
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _may_go(self) -> bool:
        """Whether a batch may be taken now; where all that waits has time, this is looked at again."""
        if not self._queue:
            return False
        if self._hurried or self._closing:
            return True
        loop = asyncio.get_running_loop()
        until = self._queue[0].company_until or 0.0
        if loop.time() >= until:
            return True
        if self._timer is None:
            self._timer = loop.call_at(until, self._looked)
        return False

    def _looked(self) -> None:
        self._timer = None
        self._start()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._running:  # what was left waiting for another batch's conversations
            self._start()

    async def _run(self) -> None:
        while self._may_go() and (batch := self._take()):
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
            self._hurried -= pending.hurried
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
        self._hurried += sum(pending.hurried for pending in left)
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
