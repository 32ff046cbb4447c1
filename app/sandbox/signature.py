"""The headers of a webhook request, signed the way 8x8 signs.

A detached JWS with unencoded payload (RFC 7797), put together by hand on purpose: the receiver
verifies with a library, and a wrong use of that library must not be mirrored here.
"""

import zlib
from typing import NamedTuple

import msgspec

from app.sandbox.keys import SigningKey, base64url


class Stamp(NamedTuple):
    """What is signed beside the body: who sends which event, which attempt, when (ms since 1970)."""

    tenant: str
    customer: str
    event_id: str
    retry: int
    transmission_time: int


def signing_payload(stamp: Stamp, body: bytes) -> bytes:
    """The compact JSON that is signed, keys in 8x8's order, numbers as numbers."""
    return msgspec.json.encode(
        {
            "checksum": zlib.crc32(body),
            "cid": stamp.customer,
            "eid": stamp.event_id,
            "retry": stamp.retry,
            "tid": stamp.tenant,
            "tt": stamp.transmission_time,
        }
    )


def sign(key: SigningKey, stamp: Stamp, body: bytes) -> str:
    """`<protected>..<signature>` over `<protected>.<payload>`."""
    signature = key.sign(key.protected + b"." + signing_payload(stamp, body))
    return f"{key.protected.decode()}..{base64url(signature)}"


def signed_headers(key: SigningKey, stamp: Stamp, body: bytes) -> dict[str, str]:
    """All headers of a webhook request, content type included."""
    return unsigned_headers(stamp) | {"x-8x8-signature": sign(key, stamp, body)}


def unsigned_headers(stamp: Stamp) -> dict[str, str]:
    """The same without the signature."""
    return {
        "content-type": "application/json",
        "x-8x8-tenant-id": stamp.tenant,
        "x-8x8-customer-id": stamp.customer,
        "x-8x8-event-id": stamp.event_id,
        "x-8x8-retry": str(stamp.retry),
        "x-8x8-transmission-time": str(stamp.transmission_time),
    }
