"""Which webhook requests are taken to be 8x8's."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from app.errors import EventRefused
from app.gateway.signature import Envelope, Stale, key_id, read_envelope, signed_payload, verify

NOW = 1_713_100_000.0
BODY = b'{"eventType": "TRANSFER", "conversationId": "c"}'
HEADER: dict[str, Any] = {"b64": False, "crit": ["b64"], "kid": "EXaiWfZe20eSjklZ70074w", "alg": "RS256"}

PRIVATE = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public(private: rsa.RSAPrivateKey) -> RSAKey:
    numbers = private.public_key().public_numbers()
    return RSAKey.import_key(
        {"kty": "RSA", "n": base64url(numbers.n.to_bytes(256, "big")), "e": base64url(b"\x01\x00\x01")}
    )


KEY = public(PRIVATE)


def protected(**changes: Any) -> str:
    header = {name: value for name, value in (HEADER | changes).items() if value is not ...}
    return base64url(json.dumps(header, separators=(",", ":")).encode())


def sign(
    body: bytes = BODY,
    *,
    head: str | None = None,
    private: rsa.RSAPrivateKey = PRIVATE,
    at: float = NOW,
    retry: int = 0,
    event_id: str = "e-1",
) -> dict[str, str]:
    """Headers made by hand from 8x8's documentation."""
    head = protected() if head is None else head
    stamp = int(at * 1000)
    payload = (
        f'{{"checksum":{zlib.crc32(body)},"cid":"cust","eid":"{event_id}",'
        f'"retry":{retry},"tid":"acme01","tt":{stamp}}}'
    )
    signature = private.sign(f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return {
        "x-8x8-tenant-id": "acme01",
        "x-8x8-customer-id": "cust",
        "x-8x8-event-id": event_id,
        "x-8x8-retry": str(retry),
        "x-8x8-transmission-time": str(stamp),
        "x-8x8-signature": f"{head}..{base64url(signature)}",
    }


def check(headers: dict[str, str], body: bytes = BODY, *, key: RSAKey = KEY, now: float = NOW) -> float:
    return verify(read_envelope(headers), body, key, now=now, freshness=600)


def refused(headers: dict[str, str], body: bytes = BODY, **more: Any) -> EventRefused:
    with pytest.raises(EventRefused) as refusal:
        check(headers, body, **more)
    assert refusal.value.status == 401
    return refusal.value


def test_a_request_signed_as_documented_is_8x8s() -> None:
    assert check(sign()) == 0
    assert check(sign(retry=3, at=NOW + 2.5)) == 2.5
    assert key_id(sign()["x-8x8-signature"]) == "EXaiWfZe20eSjklZ70074w"


def test_what_is_signed_is_compact_json_in_8x8s_order() -> None:
    envelope = Envelope("t", "c", "e", 1, 1713100000000, "")
    assert signed_payload(envelope, b"hello") == (
        b'{"checksum":907060870,"cid":"c","eid":"e","retry":1,"tid":"t","tt":1713100000000}'
    )


def test_another_key_is_refused() -> None:
    refused(sign(private=OTHER))
    refused(sign(), key=public(OTHER))


def test_a_changed_body_is_refused() -> None:
    refused(sign(), BODY + b" ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-8x8-tenant-id", "acme02"),
        ("x-8x8-customer-id", "other"),
        ("x-8x8-event-id", "e-2"),
        ("x-8x8-retry", "1"),
        ("x-8x8-transmission-time", str(int(NOW * 1000) + 1)),
    ],
)
def test_a_changed_header_is_refused(name: str, value: str) -> None:
    refused(sign() | {name: value})


@pytest.mark.parametrize("name", sorted(sign()))
def test_a_missing_header_is_refused(name: str) -> None:
    refused({header: value for header, value in sign().items() if header != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-8x8-retry", "-1"),
        ("x-8x8-retry", "1_0"),
        ("x-8x8-retry", "٣"),
        ("x-8x8-retry", "9" * 5000),
        ("x-8x8-transmission-time", "1e3"),
        ("x-8x8-transmission-time", "9" * 16),
        ("x-8x8-event-id", "a b"),
        ("x-8x8-event-id", "é"),
        ("x-8x8-event-id", "x" * 257),
        ("x-8x8-tenant-id", "a\x00"),
    ],
)
def test_an_odd_header_is_refused(name: str, value: str) -> None:
    refused(sign() | {name: value})


@pytest.mark.parametrize("seconds", [-601, 601, -10_000_000, 10_000_000])
def test_a_stale_or_future_transmission_is_refused_and_both_times_are_named(seconds: int) -> None:
    stale = refused(sign(at=NOW + seconds))
    assert isinstance(stale, Stale)
    assert stale.difference == seconds
    assert "2024-04-14T13:06:40+00:00" in str(stale)
    assert stale.transmitted.isoformat(timespec="seconds") in str(stale)


def test_a_transmission_beyond_all_time_is_stale() -> None:
    assert isinstance(refused(sign(at=900_000_000_000.0)), Stale)


@pytest.mark.parametrize("seconds", [-600, 600])
def test_the_edge_of_the_window_is_fresh(seconds: int) -> None:
    assert check(sign(at=NOW + seconds)) == seconds


def test_a_forged_request_is_not_called_stale() -> None:
    assert not isinstance(refused(sign(private=OTHER, at=NOW - 9999)), Stale)


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS512"},
        {"alg": "PS256"},
        {"alg": ...},
        {"alg": ["RS256"]},
        {"b64": True},
        {"b64": ...},
        {"b64": 0},
        {"b64": "false"},
        {"crit": ...},
        {"crit": []},
        {"crit": ["b64", "exp"], "exp": 1},
        {"crit": ["b64", "b64"]},
        {"crit": "b64"},
        {"crit": ["kid"]},
        {"kid": ...},
        {"kid": ""},
        {"kid": 7},
        {"kid": "../../admin"},
        {"kid": "a/b"},
        {"kid": "a?b"},
        {"kid": "a#b"},
        {"kid": "a%2Fb"},
        {"kid": "a.b"},
        {"kid": "a b"},
        {"kid": "a\n"},
        {"kid": "é"},
        {"kid": "x" * 129},
    ],
)
def test_another_kind_of_signature_is_refused_before_any_key_is_asked_for(changes: dict[str, Any]) -> None:
    headers = sign(head=protected(**changes))
    with pytest.raises(EventRefused) as refusal:
        key_id(headers["x-8x8-signature"])
    assert refusal.value.status == 401
    refused(headers)


def test_the_public_key_does_not_serve_as_a_shared_secret() -> None:
    import hmac

    head = protected(alg="HS256")
    for secret in (KEY.as_pem(private=False), json.dumps(KEY.as_dict(private=False)).encode()):
        headers = sign(head=head)
        payload = signed_payload(read_envelope(headers), BODY)
        tag = hmac.digest(secret, head.encode() + b"." + payload, "sha256")
        refused(headers | {"x-8x8-signature": f"{head}..{base64url(tag)}"})


def test_an_embedded_payload_is_refused() -> None:
    headers = sign()
    head, _, tail = headers["x-8x8-signature"].partition("..")
    refused(headers | {"x-8x8-signature": f"{head}.{base64url(b'{}')}.{tail}"})


@pytest.mark.parametrize(
    "signature",
    ["", "..", "a", "a..", "..a", "a.b.c", "a..b..c", "é..é", "W10..x", "bnVsbA..x", "e30..x", "!..!"],
)
def test_what_is_no_signature_is_refused(signature: str) -> None:
    refused(sign() | {"x-8x8-signature": signature})


def test_an_enormous_or_deep_protected_header_is_refused() -> None:
    refused(sign() | {"x-8x8-signature": base64url(b"[" * 100_000) + "..x"})
    refused(sign(head=protected(kid="k", x="y" * 100_000)))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(sign())), st.text(max_size=300)))
def test_no_header_breaks_the_verification(changes: dict[str, str]) -> None:
    if not changes:
        return
    headers = sign() | changes
    if headers != sign():
        refused(headers)
