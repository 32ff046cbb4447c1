"""One webhook request, from headers and body to what became of it.

    verify ▸ tenant ▸ parse ▸ store (one transaction) ▸ notify

Nothing else happens before the 200: 8x8 waits for it, and sends again what takes too long.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from app.endpoints import Endpoint
from app.errors import EventRefused
from app.gateway import signature
from app.gateway.events import VERIFY, ParsedEvent, parse
from app.gateway.key_service import key_url
from app.gateway.keys import KeyCache
from app.receiver.batcher import Batcher
from app.receiver.database import Database
from app.receiver.inbox import Arrival, Result
from app.receiver.metrics import Metrics
from app.receiver.notifier import Notifier
from app.receiver.storing import put_away
from app.receiver.tenants import Tenants
from app.receiver.throttle import Throttle

log = structlog.get_logger()

#: Seconds by which 8x8's clock and this one may differ without a word in the log.
CLOCK_TOLERANCE = 60.0
#: Types of events that services post to /inject and /notify begin so.
OWN = "PARLEY_"
#: Activities that nobody waits for: the workers' sweep finds them soon enough.
UNHURRIED = frozenset({"typing", "read-receipts"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Which event it is, as far as the request's headers tell."""

    event_id: str
    retry: int


class Webhook:
    """What is done with requests to an endpoint's URL."""

    def __init__(
        self,
        *,
        database: Database,
        keys: KeyCache,
        batcher: Batcher,
        notifier: Notifier,
        metrics: Metrics,
        freshness: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`freshness` is how many seconds a transmission time may be from `clock` (seconds since 1970)."""
        self._database, self._keys, self._batcher = database, keys, batcher
        self._notifier, self._metrics = notifier, metrics
        self._freshness, self._clock = freshness, clock
        self._tenants = Tenants(database.pin_tenant)
        self._clock_log = Throttle(60.0)
        self._verify_notes = Throttle(5.0)

    async def receive(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> str:
        """Take an event in; returns once it is committed. Raises EventRefused."""
        if "x-8x8-signature" not in headers and _is_verify(body):
            await self._verified(endpoint)
            return "verified"
        origin = await self._origin(endpoint, headers, body)
        event = parse(body)
        if event.type == VERIFY:
            await self._verified(endpoint)
            return "verified"
        return await self._store(endpoint, origin, event, body)

    async def _origin(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Origin:
        """Make sure that the request is from 8x8 and for this endpoint's tenant."""
        if not endpoint.verify_signatures:
            return _unverified(endpoint, headers)
        envelope = signature.read_envelope(headers)
        kid = signature.key_id(envelope.signature)
        key = await self._keys.get(endpoint.name, key_url(endpoint.eightxeight, kid))
        now = self._clock()
        try:
            ahead = signature.verify(envelope, body, key, now=now, freshness=self._freshness)
        except signature.Stale as stale:
            self._complain(endpoint, stale.transmitted, stale.now, refused=True)
            raise
        if abs(ahead) > CLOCK_TOLERANCE and self._clock_log.passes(endpoint.name):
            transmitted = datetime.fromtimestamp(envelope.transmitted / 1000, UTC)
            self._complain(endpoint, transmitted, datetime.fromtimestamp(now, UTC), refused=False)
        await self._tenants.check(endpoint, envelope.tenant)
        return Origin(envelope.event_id, envelope.retry)

    def _complain(self, endpoint: Endpoint, transmitted: datetime, now: datetime, *, refused: bool) -> None:
        """Validly signed, so it is 8x8's own clock against this one (or someone who sends it once more)."""
        log.warning(
            "clock_differs",
            endpoint=endpoint.name,
            transmitted_at=transmitted.isoformat(),
            this_clock=now.isoformat(),
            seconds=round((transmitted - now).total_seconds(), 1),
            refused=refused,
        )

    async def _verified(self, endpoint: Endpoint) -> None:
        """`Test Connection`: stores no event, but when it was is worth knowing."""
        if self._verify_notes.passes(endpoint.name):
            try:
                await self._database.note_verified(endpoint.name)
            except EventRefused:
                self._verify_notes.forget(endpoint.name)
                raise
        self._metrics.event(endpoint.name, VERIFY, "verified")

    async def _store(self, endpoint: Endpoint, origin: Origin, event: ParsedEvent, body: bytes) -> Result:
        if event.type.startswith(OWN):
            raise EventRefused(400, "Not an event: its type is one of Parley's own")
        arrival = Arrival(
            endpoint=endpoint.name,
            event_id=origin.event_id,
            external_id=event.conversation_id,
            type=event.type,
            body=body,
            body_sha256=hashlib.sha256(body).digest(),
            payload=event.encoded(),
            sent_at=event.timestamp,
            retry=origin.retry,
        )
        if endpoint.mask_ip_address or endpoint.encrypt:
            arrival = put_away(endpoint, arrival, event.payload)
        stored = await self._batcher.store(arrival, hurried=not event.is_echo)
        if stored.result is Result.MISMATCH:
            await self._mismatch(arrival, stored.conversation_id)
        elif stored.result is Result.STORED and stored.conversation_id is not None and _is_urgent(event):
            self._notifier.add(stored.conversation_id)
        self._metrics.event(endpoint.name, event.type, stored.result)
        log.debug(
            "event",
            endpoint=endpoint.name,
            type=event.type,
            result=stored.result.value,
            request=origin.event_id,
        )
        return stored.result

    async def _mismatch(self, arrival: Arrival, conversation: int | None) -> None:
        """The same event id with another body: forged, or 8x8 broke its word. Nothing is run."""
        if await self._database.report_mismatch(arrival):
            self._metrics.incident("body_mismatch")
        log.warning(
            "body_mismatch",
            endpoint=arrival.endpoint,
            type=arrival.type,
            conversation_id=conversation,
            request=arrival.event_id,
        )


def _is_verify(body: bytes) -> bool:
    try:
        return parse(body).type == VERIFY
    except EventRefused:
        return False


def _is_urgent(event: ParsedEvent) -> bool:
    return not event.is_echo and event.activity not in UNHURRIED


def _unverified(endpoint: Endpoint, headers: Mapping[str, str]) -> Origin:
    """An endpoint that was told not to verify: the headers are taken at their word."""
    event_id = headers.get("x-8x8-event-id", "")
    if not signature.is_identity(event_id):
        raise EventRefused(400, "Header x-8x8-event-id is missing or not usable")
    tenant, expected = headers.get("x-8x8-tenant-id"), endpoint.eightxeight.tenant
    if tenant is not None and expected is not None and tenant != expected:
        raise EventRefused(401, "The event is another tenant's")
    retry = headers.get("x-8x8-retry", "0")
    return Origin(event_id, int(retry) if signature.is_number(retry) else 0)
