"""Brings webhook events to their endpoint: signed, in each conversation's order, until a 2xx."""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field

import structlog

from app.sandbox import events
from app.sandbox.config import Limits, RetryPolicy
from app.sandbox.faultbook import FaultBook
from app.sandbox.faults import (
    Outage,
    WebhookBadSignature,
    WebhookDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookReorder,
)
from app.sandbox.keys import KeyRing, SigningKey
from app.sandbox.log import Attempt, Log, WebhookRecord
from app.sandbox.model import now_ms
from app.sandbox.post import Poster, PostFailed
from app.sandbox.signals import Signals
from app.sandbox.signature import Stamp, signed_headers, unsigned_headers

logger = structlog.get_logger("sandbox.courier")

SETTLED = "webhooks settled"
"""Signal key: no webhook is on its way."""


@dataclass(slots=True)
class Parcel:
    """An event to bring, with the faults that were drawn for it."""

    record: WebhookRecord
    customer: str
    copies: int = 1
    delay: float = 0.0
    hold: float = 0.0
    bad_signature: bool = False


@dataclass(slots=True)
class Lane:
    """The parcels of one conversation; `arrived` is set whenever one is added."""

    parcels: deque[Parcel] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Courier:
    """Sends events. One lane per conversation, each served by a task while it holds anything."""

    def __init__(
        self,
        keys: KeyRing,
        faults: FaultBook,
        log: Log,
        signals: Signals,
        retry: RetryPolicy,
        limits: Limits,
    ) -> None:
        self._keys = keys
        self._faults = faults
        self._log = log
        self._signals = signals
        self._retry = retry
        self._limits = limits
        self._lanes: dict[str, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stranger: SigningKey | None = None
        self.poster = Poster()
        self.pending = 0

    def send(self, record: WebhookRecord, customer: str) -> None:
        """Queue an event behind those of its conversation. Its record shows what becomes of it."""
        self._log.add_webhook(record)
        if record.url is None:
            record.outcome = "no_webhook"
        elif self.pending >= self._limits.pending_webhooks:
            record.outcome = "given_up"
            logger.error("webhook_queue_full", pending=self.pending)
        else:
            parcel = self._with_faults(Parcel(record, customer))
            if record.outcome == "pending":
                self._queue(parcel)
                return
        self._signals.wake(record.event_id)

    async def close(self) -> None:
        """Stop at once and forget what is queued."""
        tasks = list(self._tasks)
        self._lanes.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.pending = 0
        self.poster.close()
        self._signals.wake(SETTLED)

    def _with_faults(self, parcel: Parcel) -> Parcel:
        record = parcel.record
        where = (record.conversation, record.tenant, record.event_type)
        if self._faults.take(WebhookDrop, *where):
            record.outcome = "dropped"
            record.faults.append("webhook_drop")
        if duplicate := self._faults.take(WebhookDuplicate, *where):
            parcel.copies = duplicate.copies
            record.faults.append("webhook_duplicate")
        if delay := self._faults.take(WebhookDelay, *where):
            parcel.delay = delay.ms / 1000
            record.faults.append("webhook_delay")
        if reorder := self._faults.take(WebhookReorder, *where):
            parcel.hold = reorder.hold_ms / 1000
            record.faults.append("webhook_reorder")
        if self._faults.take(WebhookBadSignature, *where):
            parcel.bad_signature = True
            record.faults.append("webhook_bad_signature")
        return parcel

    def _queue(self, parcel: Parcel) -> None:
        self.pending += 1
        name = parcel.record.conversation
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane()
            task = asyncio.get_running_loop().create_task(self._serve(name, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.parcels.append(parcel)
        lane.arrived.set()

    async def _serve(self, name: str, lane: Lane) -> None:
        while lane.parcels:
            parcel = lane.parcels.popleft()
            if parcel.hold:
                overtaking = await self._next_within(lane, parcel.hold)
                if overtaking is not None:
                    await self._bring(overtaking)
            await self._bring(parcel)
        if self._lanes.get(name) is lane:
            del self._lanes[name]

    async def _next_within(self, lane: Lane, seconds: float) -> Parcel | None:
        if not lane.parcels:
            lane.arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(lane.arrived.wait(), seconds)
        return lane.parcels.popleft() if lane.parcels else None

    async def _bring(self, parcel: Parcel) -> None:
        if parcel.delay:
            await asyncio.sleep(parcel.delay)
        try:
            if parcel.copies == 1:
                await self._until_taken(parcel)
            else:
                await asyncio.gather(*(self._until_taken(parcel) for _ in range(parcel.copies)))
        except Exception:
            # A mistake of the sandbox must not stop the conversation's later events.
            logger.exception("webhook_failed", event_id=parcel.record.event_id)
            parcel.record.outcome = "given_up"
        self.pending -= 1
        self._signals.wake(parcel.record.event_id)
        if self.pending == 0:
            self._signals.wake(SETTLED)

    async def _until_taken(self, parcel: Parcel) -> None:
        record = parcel.record
        started = time.monotonic()
        retry = 0
        while True:
            await self._faults.over(Outage, record.tenant)
            if await self._attempt(parcel, retry):
                record.outcome = "delivered"
                return
            if time.monotonic() - started > self._retry.give_up_after:
                record.outcome = "given_up"
                logger.error("webhook_given_up", event_id=record.event_id, retries=retry)
                return
            retry += 1
            record.retries = max(record.retries, retry)
            await asyncio.sleep(self._retry.delay(retry))

    async def _attempt(self, parcel: Parcel, retry: int) -> bool:
        record = parcel.record
        assert record.url is not None
        stamp = Stamp(record.tenant, parcel.customer, record.event_id, retry, now_ms())
        key = self._stranger_key() if parcel.bad_signature and retry == 0 else self._keys.current
        headers = signed_headers(key, stamp, record.body)
        return await self.attempt(record, stamp, headers)

    async def attempt(self, record: WebhookRecord, stamp: Stamp, headers: dict[str, str]) -> bool:
        """Send a record's body once with these headers and note it; whether the answer was 2xx."""
        assert record.url is not None
        status: int | None = None
        error: str | None = None
        started = time.perf_counter()
        try:
            status = await self.poster.post(record.url, headers, record.body, self._retry.timeout)
        except PostFailed as failure:
            error = str(failure)
        duration = (time.perf_counter() - started) * 1000
        record.headers = headers
        record.attempts.append(Attempt(stamp.retry, stamp.transmission_time, status, error, duration))
        self._signals.wake(record.event_id)
        return status is not None and 200 <= status < 300

    async def verify(self, url: str) -> int:
        """Send an unsigned WEB_HOOK_VERIFY there; the status answered. Raises PostFailed."""
        headers = {"content-type": "application/json"}
        return await self.poster.post(url, headers, events.encode(events.VERIFY), self._retry.timeout)

    def _stranger_key(self) -> SigningKey:
        """A key with the published key's id that isn't it."""
        if self._stranger is None or self._stranger.kid != self._keys.current.kid:
            self._stranger = SigningKey(self._keys.current.kid, SigningKey.generate().private)
        return self._stranger

    def headers_for(self, stamp: Stamp, body: bytes, signature: str) -> dict[str, str]:
        """Headers signed `valid`, by the `wrong_key`, or with `none`."""
        if signature == "none":
            return unsigned_headers(stamp)
        key = self._stranger_key() if signature == "wrong_key" else self._keys.current
        return signed_headers(key, stamp, body)
