"""`POST /inject/{token}` and `POST /notify/{token}`: services that call in, from request to stored event.

    authenticate ▸ rate ▸ size ▸ seen before? ▸ transformer ▸ which conversation ▸ store ▸ notify workers

They go through the inbox like every event of 8x8: in order, durable, each once. The idempotency key makes the
event's id, so that the same request sent again is the same event.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog

from app.bucket import Bucket
from app.endpoints import Endpoint
from app.errors import EventRefused
from app.gateway.storable import storable
from app.receiver.batcher import Batcher
from app.receiver.called import Called, Kind, named, read_fields, transformed
from app.receiver.database import Database
from app.receiver.inbox import Arrival, Result
from app.receiver.metrics import Metrics
from app.receiver.notifier import Notifier
from app.receiver.storing import put_away
from app.sealing import unseal

log = structlog.get_logger()

#: Bytes of a body.
LARGEST = 64 * 1024
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
TYPES: Mapping[str, str] = {"inject": "PARLEY_INJECT", "notify": "PARLEY_NOTIFY"}


class Refused(EventRefused):
    """A request that is not accepted; `retry_after` in seconds where it may be later."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Accepted:
    """`event` is its id; None where the transformer dropped it."""

    event: str | None


class Calls:
    """What is done with requests of services."""

    def __init__(self, database: Database, batcher: Batcher, notifier: Notifier, metrics: Metrics) -> None:
        self._database, self._batcher = database, batcher
        self._notifier, self._metrics = notifier, metrics
        self._buckets: dict[str, tuple[Endpoint, Bucket]] = {}

    async def accept(
        self, kind: Kind, endpoint: Endpoint, headers: Mapping[str, str], body: bytes
    ) -> Accepted:
        """Take a request in; returns once it is committed. Raises EventRefused."""
        _authenticate(endpoint, headers)
        self._limit(endpoint)
        if len(body) > LARGEST:
            raise Refused(413, f"The body is larger than {LARGEST} bytes")
        event_id = _event_id(kind, headers)
        digest = hashlib.sha256(body).digest()
        if await self._seen(endpoint, event_id, digest):
            return Accepted(event_id)
        payload = _object(body)
        called = await self._called(kind, endpoint, payload)
        if called is None:
            log.info("call_dropped", endpoint=endpoint.name, kind=kind)
            return Accepted(None)
        found = await self._database.find_conversation(endpoint.name, called.session_id, called.user_id)
        if found is None:
            raise Refused(404, "There is no such session")
        if kind == "notify" and found.control != "bot":
            raise Refused(409, "A human has the conversation")
        result = await self._store(kind, endpoint, event_id, digest, found.external_id, called)
        self._metrics.event(endpoint.name, TYPES[kind], result)
        if result is Result.MISMATCH:
            raise Refused(422, "The Idempotency-Key came before with another body")
        return Accepted(event_id)

    async def _called(self, kind: Kind, endpoint: Endpoint, payload: dict[str, object]) -> Called | None:
        """What is asked for; None: the transformer dropped it."""
        path = named(endpoint, kind)
        if path is None:
            return read_fields(kind, payload)
        session, user = payload.get("sessionId"), payload.get("userId")
        own = (session if isinstance(session, str) else None, user if isinstance(user, str) else None)
        found = await self._database.find_conversation(endpoint.name, *own) if any(own) else None
        storage = unseal(msgspec.json.decode(found.storage)) if found is not None and found.storage else {}
        return await transformed(kind, path, endpoint, payload, storage, report=self._database.report_stuck)

    def _limit(self, endpoint: Endpoint) -> None:
        known = self._buckets.get(endpoint.name)
        if known is None or known[0].callers != endpoint.callers:
            known = endpoint, Bucket(endpoint.callers.rate, endpoint.callers.burst)
            self._buckets[endpoint.name] = known
        wait = known[1].wait()
        if wait > 0:
            raise Refused(429, "Too many requests", retry_after=wait)
        known[1].take()

    async def _seen(self, endpoint: Endpoint, event_id: str, digest: bytes) -> bool:
        known = await self._database.known_body(endpoint.name, event_id)
        if known is not None and known != digest:
            raise Refused(422, "The Idempotency-Key came before with another body")
        return known is not None

    async def _store(
        self, kind: Kind, endpoint: Endpoint, event_id: str, digest: bytes, conversation: str, called: Called
    ) -> Result:
        now = time.time()
        payload = {
            "eventType": TYPES[kind],
            "conversationId": conversation,
            "timestamp": int(now * 1000),
            "data": called.to_json(),
        }
        body = msgspec.json.encode(payload)
        stored = await self._batcher.store(
            put_away(
                endpoint,
                Arrival(
                    endpoint=endpoint.name,
                    event_id=event_id,
                    external_id=conversation,
                    type=TYPES[kind],
                    body=body,
                    body_sha256=digest,
                    payload=body.decode(),
                    sent_at=datetime.fromtimestamp(now, UTC),
                    retry=0,
                ),
                payload,
            )
        )
        if stored.result is Result.STORED and stored.conversation_id is not None:
            self._notifier.add(stored.conversation_id)
        return stored.result


def _authenticate(endpoint: Endpoint, headers: Mapping[str, str]) -> None:
    """Raises Refused (401) unless the bearer token is one of the endpoint's callers'."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = "sha256:" + hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).hexdigest()
    fits = False
    for known in endpoint.callers.tokens:  # all of them, whether found or not
        fits |= hmac.compare_digest(known, given)
    if scheme.lower() != "bearer" or not fits:
        raise Refused(401, "A bearer token of the endpoint's callers is needed")


def _event_id(kind: Kind, headers: Mapping[str, str]) -> str:
    """The event's id, which says nothing of the key."""
    key = headers.get("idempotency-key")
    if key is None:
        return f"{kind}:{uuid.uuid4().hex}"
    if _KEY.fullmatch(key) is None:
        raise Refused(400, "Idempotency-Key must be 1 to 200 printable ASCII characters without spaces")
    return f"{kind}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _object(body: bytes) -> dict[str, object]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "The body is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "The body is not a JSON object")
    found = storable(value)
    assert isinstance(found, dict)
    return dict(found)
