"""Anything 8x8 could sign, and anything a stranger could send: answered by the contract, and handled."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.bot import Chat
from tests.integration.scene import scene as worker_scene
from tests.integration.webhooks import TOKEN, Scene, event, receiving

quick = settings(max_examples=120, database=None, deadline=None, suppress_health_check=list(HealthCheck))

#: Any text, lone surrogates and NUL among it.
texts = st.text(st.characters(exclude_categories=[]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["MESSAGE", "CONVERSATION_UPDATE", "QUEUED", "MEMBERS_CHANGED", "TRANSFER", "ACTIVITY", "WEB_HOOK_VERIFY"]
)
known = {
    "text": texts | values,
    "isEcho": st.booleans() | values,
    "sender": st.fixed_dictionaries({"id": texts | values, "type": st.sampled_from(["user", "agent", "x"])}),
    "attachments": st.lists(values, max_size=2) | values,
    "cards": st.lists(values, max_size=2) | values,
    "user": st.fixed_dictionaries({}, optional={"userId": texts, "name": values, "language": texts}) | values,
    "state": st.sampled_from(["created", "active", "idle"]) | values,
    "assignment": st.fixed_dictionaries({"type": texts | values, "id": texts | values}) | values,
    "memberType": st.sampled_from(["agent", "user"]) | values,
    "change": st.sampled_from(["joined", "left"]) | values,
    "activityType": texts,
    "name": st.sampled_from(["quickReply/action", "adaptiveCard/action", "typing"]) | texts,
    "value": values,
}
events = st.fixed_dictionaries(
    {"eventType": kinds | texts | values},
    optional={
        "conversationId": st.sampled_from(["a", "b", "c"]) | texts | values,
        "timestamp": st.integers(-(10**20), 10**20) | values,
        "data": st.fixed_dictionaries({}, optional=known) | values,
    },
)
header_bytes = st.binary(max_size=40).filter(lambda raw: b"\r" not in raw and b"\n" not in raw)
raw_headers = st.lists(
    st.tuples(
        st.sampled_from(
            [b"x-8x8-signature", b"x-8x8-event-id", b"x-8x8-retry", b"x-8x8-tenant-id", b"content-encoding"]
        )
        | st.sampled_from([b"content-length", b"transfer-encoding", b"expect", b"host", b"x-any"]),
        header_bytes
        | st.sampled_from([b"chunked", b"gzip", b"100-continue", b"0", b"5", b"1e3", b"a" * 5000]),
    ),
    max_size=4,
)


@pytest.fixture(autouse=True)
def no_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that an outsider sends is an error of ours, nor of the server's."""
    with capture_logs() as lines:
        yield
    assert not [line for line in lines if line["log_level"] in ("error", "critical") or "exc_info" in line]
    assert not [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with receiving(database_url) as found:
        yield found


def collected(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """Hypothesis' examples: what is done with them is asynchronous."""
    examples: list[Any] = []

    @quick
    @given(strategy)
    def collect(example: Any) -> None:
        examples.append(example)

    collect()
    return examples


async def echoes(chat: Chat) -> None:
    await chat.say(f"{chat.message.kind} {len(chat.message.text)}")
    await chat.receive()


async def test_any_event_that_8x8_signs_is_stored_as_it_is_and_handled(
    scene: Scene, engine: AsyncEngine
) -> None:
    stored: dict[str, bytes] = {}
    seen: set[int] = set()
    for number, content in enumerate(collected(events)):
        body = json.dumps(content, ensure_ascii=True).encode()
        answer = await scene.post(body, event_id=f"fuzz-{number}")
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400), body
        if answer.json().get("result") == "stored":
            stored[f"fuzz-{number}"] = body
    assert seen == {200, 400} and len(stored) > 30
    rows = await scene.database.fetch("SELECT event_id, body FROM event")
    assert {row["event_id"]: row["body"] for row in rows} == stored
    await scene.post(
        event(conversation="another", text="still there?")
    )  # the others may have an agent by now

    play = worker_scene(engine, echoes)
    for _ in range(1000):
        if not await scene.value("SELECT count(*) FROM conversation WHERE due_at <= now()"):
            break
        await play.work()
    assert await scene.value("SELECT count(*) FROM event WHERE processed_at IS NULL") == 0
    assert await scene.value("SELECT count(*) FROM incident") == 0
    assert await scene.value("SELECT count(*) FROM delivery WHERE status <> 'sent'") == 0
    assert await scene.value("SELECT count(*) FROM delivery") > 0


async def test_a_body_in_any_encoding_is_taken_as_the_bytes_it_is(scene: Scene) -> None:
    body = event(text="Grüße")
    for encoding in ("gzip", "deflate", "br", "identity", "x"):
        headers = {**scene.headers(body), "content-encoding": encoding}
        assert (await scene.post(body, headers)).status_code == 200, encoding
    packed = gzip.compress(body)
    headers = {**scene.headers(packed), "content-encoding": "gzip"}
    assert (await scene.post(packed, headers)).status_code == 400
    for charset in ("utf-16", "utf-32", "utf-8-sig", "latin-1"):
        encoded = json.dumps({"eventType": "X", "t": "ü"}, ensure_ascii=False).encode(charset)
        headers = {**scene.headers(encoded), "content-type": f"application/json; charset={charset}"}
        assert (await scene.post(encoded, headers)).status_code in (200, 400), charset


async def test_no_header_on_the_wire_makes_the_receiver_fail(scene: Scene) -> None:
    body = event()
    for extra in collected(raw_headers):
        signed = [(name.encode(), value.encode()) for name, value in scene.headers(body).items()]
        lines = [
            f"POST /8x8/{TOKEN} HTTP/1.1".encode(),
            b"host: x",
            b"connection: close",
            f"content-length: {len(body)}".encode(),
            *(name + b": " + value for name, value in [*signed, *extra]),
        ]
        answer = await sent(scene, b"\r\n".join([*lines, b"", b""]) + body)
        status = answer.partition(b"\r\n")[0]
        assert b" 500 " not in status, extra
    assert (await scene.post(event())).status_code == 200


async def test_a_signed_request_cut_or_changed_anywhere_starts_nothing(scene: Scene) -> None:
    body, rng = event(text="pay 10"), random.Random(7)
    signed = "".join(f"{name}: {value}\r\n" for name, value in scene.headers(body, event_id="e").items())
    whole = (
        f"POST /8x8/{TOKEN} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n{signed}\r\n"
    ).encode() + body
    for _ in range(150):
        raw = bytearray(whole)
        at = rng.randrange(len(raw))
        if rng.random() < 0.3:
            del raw[at:]
        else:
            raw[at] ^= 1 << rng.randrange(8)
        answer = await sent(scene, bytes(raw))
        assert b" 500 " not in answer.partition(b"\r\n")[0], bytes(raw)
    bodies = await scene.database.fetch("SELECT body FROM event")
    assert {row["body"] for row in bodies} <= {body}


async def sent(scene: Scene, raw: bytes) -> bytes:
    """What is answered to these bytes, if anything is, until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.ports.public)
    try:
        writer.write(raw)
        writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
