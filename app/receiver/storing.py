"""What is done to an event before it is stored: the IP address masked, all of it encrypted, as set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import msgspec

from app.endpoints import Endpoint
from app.receiver.inbox import Arrival
from app.sealing import sealer

_MASK = "***"
#: A name is made of words: `clientIp`, `client_ip`, `X-Client-IP`.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_IP = frozenset({"ip", "ips", "ipaddress", "ipaddr", "ipv"})
#: Names without any sign of where their words begin.
_WHOLE = frozenset({"remoteaddress", "remoteaddr", "forwardedfor", "xforwardedfor"}) | {
    f"{whose}ip"
    for whose in ("client", "user", "remote", "source", "src", "customer", "visitor", "real", "public")
}


def put_away(endpoint: Endpoint, arrival: Arrival, payload: Mapping[str, Any]) -> Arrival:
    """The event as it may be stored. Its SHA-256 stays that of the body as it came: it tells copies apart."""
    if endpoint.mask_ip_address:
        payload = without_ip(payload)
        body = msgspec.json.encode(payload)
        arrival = replace(arrival, body=body, payload=body.decode())
    if endpoint.encrypt:
        box = sealer()
        sealed = msgspec.json.encode(box.seal(payload)).decode()
        arrival = replace(arrival, body=box.seal_bytes(arrival.body), payload=sealed)
    return arrival


def without_ip(value: Any) -> Any:
    """A JSON value in which the IP address is asterisks, wherever a field or a property of that name is."""
    if isinstance(value, Mapping):
        named = value.get("key")
        if isinstance(named, str) and "value" in value and _is_ip(named):
            return {**value, "value": _MASK}
        return {
            key: _MASK if _is_ip(key) and item is not None else without_ip(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_ip(item) for item in value]
    return value


@lru_cache(maxsize=2048)
def _is_ip(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    return not _IP.isdisjoint(words) or "".join(words) in _WHOLE
