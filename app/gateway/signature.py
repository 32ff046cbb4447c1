"""Is a webhook request from 8x8? Pure functions: the key and the time are passed in.

8x8 signs a detached JWS with unencoded payload (RFC 7515, RFC 7797) over the CRC32 of the body and what the
`x-8x8-…` headers say. A CRC32 is no cryptographic hash: other bodies with the same one are easily made. So
a signature vouches for an *event id* within a short time only; that an id keeps its body is the store's part.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64decode

from app.errors import EventRefused

_registry = jws.JWSRegistry(algorithms=["RS256"])
_identity = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)
_number = re.compile(r"[0-9]{1,15}", re.ASCII)
_kid = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_END_OF_TIME = 253_402_300_799_999


class Stale(EventRefused):
    """Validly signed, but not now: sent again by someone else, or one of the two clocks is wrong."""

    def __init__(self, *, transmitted: datetime, now: datetime) -> None:
        self.transmitted = transmitted
        self.now = now
        self.difference = (transmitted - now).total_seconds()
        way = "after" if self.difference > 0 else "before"
        super().__init__(
            401,
            f"Stale: transmitted at {transmitted.isoformat(timespec='seconds')}, "
            f"{abs(self.difference):.0f} s {way} this clock ({now.isoformat(timespec='seconds')})",
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a signed request say. `transmitted` is in ms since 1970."""

    tenant: str
    customer: str
    event_id: str
    retry: int
    transmitted: int
    signature: str


def read_envelope(headers: Mapping[str, str]) -> Envelope:
    """The envelope from headers (lower-case names). Raises EventRefused (401) if one is missing or odd."""
    return Envelope(
        tenant=_header(headers, "x-8x8-tenant-id", _identity),
        customer=_header(headers, "x-8x8-customer-id", _identity),
        event_id=_header(headers, "x-8x8-event-id", _identity),
        retry=int(_header(headers, "x-8x8-retry", _number)),
        transmitted=int(_header(headers, "x-8x8-transmission-time", _number)),
        signature=headers.get("x-8x8-signature", ""),
    )


def is_identity(text: str) -> bool:
    """Whether it can be an id in a header: printable ASCII without spaces, not too long."""
    return _identity.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """Whether it is a whole number in decimal ASCII digits."""
    return _number.fullmatch(text) is not None


def _header(headers: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = headers.get(name, "")
    if not pattern.fullmatch(value):
        raise EventRefused(401, f"Header {name} is {'not usable' if value else 'missing'}")
    return value


def key_id(signature: str) -> str:
    """The id of the key a signature says it was made with.

    Raises EventRefused (401) unless it is `<protected>..<signature>` by RS256 with an unencoded payload and a
    key id of harmless characters: the id becomes part of a URL.
    """
    protected, dots, rest = signature.partition("..")
    if not dots or not rest or "." in rest:
        raise EventRefused(401, "The signature is not a detached JWS")
    return _key_id(protected)


@lru_cache(maxsize=256)  # the protected header of a key is always the same
def _key_id(protected: str) -> str:
    try:
        header: Any = json.loads(urlsafe_b64decode(protected.encode("ascii")))
    except (ValueError, RecursionError):
        raise EventRefused(401, "The signature's header is not JSON") from None
    if not isinstance(header, dict) or header.get("alg") != "RS256":
        raise EventRefused(401, "The signature's algorithm is not RS256")
    if header.get("b64") is not False or header.get("crit") != ["b64"]:
        raise EventRefused(401, "The signature's payload is not unencoded (b64, crit)")
    kid = header.get("kid")
    if not isinstance(kid, str) or not _kid.fullmatch(kid):
        raise EventRefused(401, "The signature's key id is not usable")
    return kid


def signed_payload(envelope: Envelope, body: bytes) -> bytes:
    """What 8x8 signs: compact JSON, keys in this order, numbers as numbers."""
    return (
        f'{{"checksum":{zlib.crc32(body)},"cid":{json.dumps(envelope.customer)},'
        f'"eid":{json.dumps(envelope.event_id)},"retry":{envelope.retry},'
        f'"tid":{json.dumps(envelope.tenant)},"tt":{envelope.transmitted}}}'
    ).encode()


def verify(envelope: Envelope, body: bytes, key: RSAKey, *, now: float, freshness: float) -> float:
    """Check that 8x8 signed this body under this envelope, within `freshness` seconds of `now`.

    `now` is in seconds since 1970. Returns how many seconds the transmission time is ahead of it. Raises
    EventRefused (401); Stale when only the time is wrong.
    """
    key_id(envelope.signature)
    try:
        jws.deserialize_compact(
            envelope.signature, key, registry=_registry, payload=signed_payload(envelope, body)
        )
    except (JoseError, ValueError, TypeError):
        raise EventRefused(401, "The signature does not fit") from None
    ahead = envelope.transmitted / 1000 - now
    if abs(ahead) > freshness:
        raise Stale(
            transmitted=datetime.fromtimestamp(min(envelope.transmitted, _END_OF_TIME) / 1000, UTC),
            now=datetime.fromtimestamp(now, UTC),
        )
    return ahead
