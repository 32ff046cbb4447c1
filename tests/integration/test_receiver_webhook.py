"""The webhook from outside: what each request is answered, and what is stored then."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.keys import SigningKey
from tests.integration.webhooks import KEY, TOKEN, Scene, event, receiving

DOCUMENTED = Path(__file__).parents[3] / "shared" / "8x8" / "events"


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with receiving(database_url) as found:
        yield found


async def nothing_stored(scene: Scene) -> bool:
    return not await scene.value("SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM conversation)")


async def test_a_signed_event_is_stored_with_its_conversation_made_due(scene: Scene) -> None:
    body = event(text="Grüße 😀")
    answer = await scene.post(body, event_id="e-1", retry=2)
    assert (answer.status_code, answer.json()) == (200, {"result": "stored"})
    stored = await scene.row("SELECT * FROM event")
    assert (stored["endpoint"], stored["event_id"], stored["type"]) == ("support", "e-1", "MESSAGE")
    assert (stored["body"], stored["body_sha256"]) == (body, sha256(body).digest())
    assert json.loads(stored["payload"]) == json.loads(body)
    assert stored["sent_at"].timestamp() * 1000 == json.loads(body)["timestamp"]
    assert stored["at"] == stored["sent_at"]
    assert (stored["retry"], stored["processed_at"]) == (2, None)
    conversation = await scene.row("SELECT * FROM conversation")
    assert conversation["id"] == stored["conversation_id"]
    assert (conversation["external_id"], conversation["state"]) == ("conv-1", "created")
    assert conversation["due_at"] is not None


@pytest.mark.skipif(not DOCUMENTED.is_dir(), reason="8x8's documented examples are not beside the repository")
async def test_every_documented_example_is_accepted(scene: Scene) -> None:
    examples = sorted(DOCUMENTED.glob("*.json"))
    for example in examples:
        assert (await scene.post(example.read_bytes())).status_code == 200, example.name
    assert await scene.value("SELECT count(*) FROM event") == len(examples) - 1  # all but WEB_HOOK_VERIFY
    assert await scene.value("SELECT count(*) FROM conversation") == 1


async def test_unknown_types_and_fields_are_stored_as_they_are(scene: Scene) -> None:
    body = event("AGENT_JOINED", whatever=[1, {"a": None}])
    assert (await scene.post(body)).status_code == 200
    stored = await scene.row("SELECT type, payload, processed_at FROM event")
    assert stored["type"] == "AGENT_JOINED"
    assert json.loads(stored["payload"])["data"] == {"whatever": [1, {"a": None}]}
    assert stored["processed_at"] is None
    assert 'type="other"' in (await scene.admin("/metrics")).text


async def test_an_event_without_a_conversation_is_stored_and_done(scene: Scene) -> None:
    assert (await scene.post(event("MAINTENANCE", None, x=1))).status_code == 200
    stored = await scene.row("SELECT conversation_id, processed_at, outcome FROM event")
    assert (stored["conversation_id"], stored["outcome"]) == (None, "noted")
    assert stored["processed_at"] is not None


async def test_ten_duplicates_at_once_are_one_event(scene: Scene) -> None:
    body = event()
    headers = scene.headers(body, event_id="e-1")
    answers = await asyncio.gather(*[scene.post(body, headers) for _ in range(10)])
    assert [answer.status_code for answer in answers] == [200] * 10
    assert sorted(answer.json()["result"] for answer in answers) == ["duplicate"] * 9 + ["stored"]
    assert await scene.value("SELECT count(*) FROM event") == 1


async def test_a_duplicate_changes_nothing(scene: Scene) -> None:
    body = event()
    await scene.post(body, event_id="e-1")
    await scene.database.execute("UPDATE conversation SET due_at = NULL")
    await scene.database.execute("UPDATE event SET processed_at = now(), outcome = 'noted'")
    before = await scene.row("SELECT e, c FROM event e, conversation c")
    for retry in (1, 2):
        answer = await scene.post(body, event_id="e-1", retry=retry)
        assert answer.json() == {"result": "duplicate"}
    assert await scene.row("SELECT e, c FROM event e, conversation c") == before


def forge(original: bytes, text: str) -> bytes:
    """Another event with the same CRC32: letters of a padding are chosen so that the checksum fits."""
    letters = 64
    forged = bytearray(event(text=text + "a" * letters))
    first = forged.index(b"a" * letters)

    def checksum_with(position: int | None) -> int:
        changed = bytearray(forged)
        if position is not None:
            changed[first + position] ^= 2  # a becomes c
        return zlib.crc32(changed)

    base = checksum_with(None)
    basis: dict[int, tuple[int, int]] = {}  # highest bit: (its vector, the letters that make it)
    for position in range(letters):
        vector, chosen = base ^ checksum_with(position), 1 << position
        while vector and (known := basis.get(vector.bit_length())):
            vector, chosen = vector ^ known[0], chosen ^ known[1]
        if vector:
            basis[vector.bit_length()] = vector, chosen
    wanted, choice = base ^ zlib.crc32(original), 0
    while wanted:
        vector, chosen = basis[wanted.bit_length()]
        wanted, choice = wanted ^ vector, choice ^ chosen
    for position in range(letters):
        if choice >> position & 1:
            forged[first + position] ^= 2
    return bytes(forged)


async def test_a_body_forged_to_the_same_checksum_is_an_incident_and_runs_nothing(scene: Scene) -> None:
    body = event(text="pay 10")
    forged = forge(body, "pay 9999 ")
    assert zlib.crc32(forged) == zlib.crc32(body)
    assert forged != body
    headers = scene.headers(body, event_id="e-1")
    await scene.post(body, headers)
    await scene.database.execute("UPDATE conversation SET due_at = NULL")
    for _ in range(3):
        answer = await scene.post(forged, headers)  # the captured headers fit the forged body
        assert (answer.status_code, answer.json()) == (200, {"result": "mismatch"})
    stored = await scene.row("SELECT id, body, conversation_id FROM event")
    assert stored["body"] == body
    assert await scene.value("SELECT due_at FROM conversation") is None
    incident = await scene.row("SELECT * FROM incident")
    assert (incident["kind"], incident["endpoint"]) == ("body_mismatch", "support")
    assert incident["conversation_id"] == stored["conversation_id"]
    assert json.loads(incident["detail"]) == {"event": stored["id"], "type": "MESSAGE"}


async def test_the_same_id_with_two_bodies_at_once_stores_one_and_reports_the_other(scene: Scene) -> None:
    first, second = event(text="one"), event(text="two")
    answers = await asyncio.gather(*[scene.post(body, event_id="e-1") for body in (first, second)])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(answer.json()["result"] for answer in answers) == ["mismatch", "stored"]
    assert await scene.value("SELECT count(*) FROM event") == 1
    assert await scene.value("SELECT count(*) FROM incident") == 1


@pytest.mark.parametrize(
    "forgery",
    [
        {"key": SigningKey(KEY.kid, SigningKey.generate().private)},
        {"key": SigningKey.generate()},
        {"at": time.time() - 3600},
        {"at": time.time() + 3600},
        {"tenant": "someone-else"},
    ],
    ids=["wrong key", "unknown key", "stale", "future", "another tenant"],
)
async def test_what_is_not_8x8s_for_this_tenant_now_is_refused(scene: Scene, forgery: dict[str, Any]) -> None:
    answer = await scene.post(event(), **forgery)
    assert answer.status_code == 401
    assert answer.json()["error"]
    assert await nothing_stored(scene)


async def test_an_unsigned_event_is_refused(scene: Scene) -> None:
    assert (await scene.post(event(), {})).status_code == 401
    assert await nothing_stored(scene)


async def test_a_connection_test_is_answered_and_noted_but_stored_nowhere(scene: Scene) -> None:
    body = b'{"notificationVersion": "Chat Gateway v1.0", "eventType": "WEB_HOOK_VERIFY"}'
    assert (await scene.post(body, {})).status_code == 200
    assert (await scene.post(body)).status_code == 200
    assert await nothing_stored(scene)
    assert await scene.value("SELECT verified_at > now() - interval '1 min' FROM endpoint_state")


async def test_a_connection_test_with_a_wrong_signature_is_refused(scene: Scene) -> None:
    body = b'{"eventType": "WEB_HOOK_VERIFY"}'
    assert (await scene.post(body, scene.headers(b"{}"))).status_code == 401


@pytest.mark.parametrize("token", ["x" * 20, TOKEN[:-1], TOKEN + "x", "%00", "%ff", "é" * 20])
async def test_an_unknown_token_is_404(scene: Scene, token: str) -> None:
    assert (await scene.post(event(), token=token)).status_code == 404
    assert await nothing_stored(scene)


async def test_a_disabled_endpoint_is_404_and_a_draining_one_goes_on(database_url: str) -> None:
    async with receiving(database_url, enabled=False) as scene:
        assert (await scene.post(event())).status_code == 404
    async with receiving(database_url, enabled="draining") as scene:
        assert (await scene.post(event())).status_code == 200


async def test_while_tokens_are_rotated_both_are_good(database_url: str) -> None:
    async with receiving(database_url, token=["a" * 20, "b" * 20]) as scene:
        assert (await scene.post(event(), token="a" * 20)).status_code == 200
        assert (await scene.post(event(), token="b" * 20)).status_code == 200
        assert (await scene.post(event())).status_code == 404


async def test_the_first_verified_tenant_is_pinned_for_ever(database_url: str) -> None:
    async with receiving(database_url, tenant=None) as scene:
        stranger = SigningKey(KEY.kid, SigningKey.generate().private)
        assert (await scene.post(event(), tenant="forger", key=stranger)).status_code == 401
        answers = await asyncio.gather(*[scene.post(event(), tenant=name) for name in ("a", "b") * 5])
        pinned = await scene.value("SELECT tenant FROM endpoint_state")
        assert pinned in ("a", "b")
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [401] * 5
    async with receiving(database_url, tenant=None) as scene:
        other = "b" if pinned == "a" else "a"
        assert (await scene.post(event(), tenant=other)).status_code == 401
        assert (await scene.post(event(), tenant=pinned)).status_code == 200


async def test_an_endpoint_may_be_told_not_to_verify(database_url: str) -> None:
    async with receiving(database_url, verify_signatures=False) as scene:
        assert (await scene.post(event(), {"x-8x8-event-id": "e-1"})).status_code == 200
        assert (await scene.post(event(), {})).status_code == 400
        other = {"x-8x8-event-id": "e-2", "x-8x8-tenant-id": "other"}
        assert (await scene.post(event(), other)).status_code == 401
        assert scene.keys.asked == []


async def test_a_key_service_that_fails_once_costs_one_retry(scene: Scene) -> None:
    scene.keys.faults = [500]
    body = event()
    assert (await scene.post(body, event_id="e-1")).status_code == 503
    assert (await scene.post(body, event_id="e-1", retry=1)).status_code == 200
    assert len(scene.keys.asked) == 2


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"{}", b'{"eventType": 1}', b"\xff\xfe", b"[" * 100_000]
)
async def test_what_is_no_event_is_400(scene: Scene, body: bytes) -> None:
    assert (await scene.post(body)).status_code == 400
    assert await nothing_stored(scene)


async def test_an_oversized_body_is_413_with_and_without_a_length(scene: Scene) -> None:
    large = b" " * (1024 * 1024 + 1)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    assert (await scene.post(large)).status_code == 413
    headers = scene.headers(large)
    answer = await scene.client.post(f"/8x8/{TOKEN}", content=chunks(), headers=headers)
    assert answer.status_code == 413
    assert await nothing_stored(scene)


async def test_an_endless_body_is_refused_while_it_is_still_coming(scene: Scene) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.ports.public)
    writer.write(f"POST /8x8/{TOKEN} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    for _ in range(17):
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_the_largest_body_and_a_chunked_one_are_accepted(scene: Scene) -> None:
    body = event(text="")
    body = event(text="x" * (1024 * 1024 - len(body)))
    assert len(body) == 1024 * 1024
    assert (await scene.post(body)).status_code == 200

    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        for position in range(0, len(body), 7):
            yield body[position : position + 7]

    small = event()
    answer = await scene.client.post(f"/8x8/{TOKEN}", content=chunks(small), headers=scene.headers(small))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("shift", "expected"), [(0, 0), (-86400, -3600), (86400, 3600), (1800, 1800), (10**14, 0), (-(10**14), 0)]
)
async def test_the_order_of_handling_trusts_the_timestamp_within_an_hour(
    scene: Scene, shift: float, expected: float
) -> None:
    content = json.loads(event())
    content["timestamp"] = int((time.time() + shift) * 1000)
    assert (await scene.post(json.dumps(content).encode())).status_code == 200
    difference = await scene.value("SELECT extract(epoch FROM at - received_at) FROM event")
    assert abs(float(difference) - expected) < 5


async def test_other_paths_and_methods_are_refused_with_small_json(scene: Scene) -> None:
    for method, path, status in (
        ("GET", f"/8x8/{TOKEN}", 405),
        ("POST", "/8x8", 404),
        ("POST", f"/8x8/{TOKEN}/more", 404),
        ("GET", "/metrics", 404),
        ("GET", "/ready", 404),
        ("GET", "/schema", 404),
    ):
        answer = await scene.client.request(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert (await scene.client.get("/health")).json() == {"status": "ok"}
