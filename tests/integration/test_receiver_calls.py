"""`/inject` and `/notify` from outside: who may call, what is refused, what is stored."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.transformers.types import CallRequest
from tests.integration.planted import DATA, IDENTITY, TEXT
from tests.integration.webhooks import TOKEN, Scene, event, receiving

BEARER = "a-bearer-token-of-a-service"
HASH = "sha256:" + hashlib.sha256(BEARER.encode()).hexdigest()
HELLO = {"sessionId": "conv-1", "text": "hello"}


async def call(play: Scene, body: Any = HELLO, *, kind: str = "inject", **headers: str) -> httpx.Response:
    """Post as a service does."""
    given = {"authorization": f"Bearer {BEARER}"} | {name.replace("_", "-"): v for name, v in headers.items()}
    return await play.client.post(f"/{kind}/{TOKEN}", json=body, headers=given)


@pytest.fixture
async def play(database_url: str) -> AsyncIterator[Scene]:
    """A receiver that knows conversation conv-1 and one service."""
    async with receiving(database_url, callers={"tokens": [HASH], "rate": 1000, "burst": 1000}) as play:
        assert (await play.post(event())).status_code == 200
        yield play


async def test_a_request_is_stored_as_an_event_of_its_conversation(play: Scene) -> None:
    answer = await call(play, {**HELLO, "userId": "u", "data": {"order": 7}})
    assert answer.status_code == 202
    row = await play.row("SELECT * FROM event WHERE event_id = $1", answer.json()["event"])
    assert (row["type"], row["conversation_id"], row["processed_at"]) == ("PARLEY_INJECT", 1, None)
    assert await play.value("SELECT payload->'data' FROM event WHERE id = $1", row["id"]) == (
        '{"data": {"order": 7}, "text": "hello", "userId": "u", "sessionId": "conv-1"}'
    )
    assert await play.value("SELECT due_at <= now() FROM conversation")


async def test_the_same_key_and_body_is_one_event_and_another_body_is_refused(play: Scene) -> None:
    answers = await asyncio.gather(*(call(play, Idempotency_Key="k1") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["event"] for answer in answers}) == 1
    assert (await call(play, {**HELLO, "text": "other"}, Idempotency_Key="k1")).status_code == 422
    assert (await call(play, {**HELLO, "text": "other"}, Idempotency_Key="k2")).status_code == 202
    assert await play.value("SELECT count(*) FROM event WHERE type = 'PARLEY_INJECT'") == 2


async def test_who_may_not_call_is_told_401_and_nothing_is_stored(play: Scene) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {BEARER}"}):
        answer = await play.client.post(f"/inject/{TOKEN}", json=HELLO, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    unknown = await play.client.post(
        f"/inject/{'x' * 20}", json=HELLO, headers={"authorization": f"Bearer {BEARER}"}
    )
    assert unknown.status_code == 404
    assert await play.value("SELECT count(*) FROM event") == 1


async def test_an_endpoint_without_callers_takes_no_call(database_url: str) -> None:
    async with receiving(database_url) as play:
        assert (await call(play)).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"sessionId": "unknown", "text": "x"}, 404),
        ({"userId": "unknown", "text": "x"}, 404),
        ({"text": "x"}, 400),
        ({"sessionId": "conv-1"}, 400),
        ({"sessionId": "conv-1", "text": 7}, 400),
        ({"sessionId": "conv-1", "text": "x" * 10_001}, 400),
        ({"sessionId": "c" * 257, "text": "x"}, 400),
        ({"sessionId": "conv-1", "text": "x", "data": []}, 400),
        ({"sessionId": "conv-1", "text": "x", "txet": "y"}, 400),
        ([HELLO], 400),
        ({"sessionId": "conv-1", "text": "x", "data": {"big": "x" * 70_000}}, 413),
    ],
)
async def test_what_can_not_be_done_is_told_plainly(play: Scene, body: Any, status: int) -> None:
    answer = await call(play, body)
    assert (answer.status_code, await play.value("SELECT count(*) FROM event")) == (status, 1)
    assert answer.json()["error"]


async def test_a_bad_idempotency_key_is_refused(play: Scene) -> None:
    assert (await call(play, Idempotency_Key="with space")).status_code == 400
    assert (await call(play, Idempotency_Key="k" * 201)).status_code == 400


async def test_a_user_is_found_by_what_the_channel_verified(play: Scene) -> None:
    await play.database.execute("INSERT INTO contact (endpoint, identity) VALUES ('support', 'user:u7')")
    await play.database.execute("UPDATE conversation SET contact_id = 1")
    assert (await call(play, {"userId": "u7", "text": "x"})).status_code == 202
    assert (await call(play, {"userId": "u7", "sessionId": "conv-1", "text": "x"})).status_code == 202
    other = await call(play, {"userId": "u8", "sessionId": "conv-1", "text": "x"})
    assert other.status_code == 404, "the session is not that user's"


async def test_notify_is_409_while_a_human_has_the_conversation(play: Scene) -> None:
    assert (await call(play, kind="notify")).status_code == 202
    await play.database.execute("UPDATE conversation SET control = 'queue'")
    assert (await call(play, kind="notify")).status_code == 409
    assert (await call(play, kind="inject")).status_code == 202


async def test_too_many_calls_are_429_and_say_when_to_come_again(database_url: str) -> None:
    async with receiving(database_url, callers={"tokens": [HASH], "rate": 0.5, "burst": 2}) as play:
        await play.post(event())
        answers = [await call(play) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        assert 1 <= int(answers[2].headers["retry-after"]) <= 2


def by_order(request: CallRequest) -> dict[str, Any] | None:
    """Finds out whom an order is for; drops what is no order."""
    if "order" not in request.payload:
        return None
    if request.payload["order"] == "boom":
        raise KeyError("a secret of the customer")
    return {"sessionId": "conv-1", "text": f"Order {request.payload['order']} has left"}


async def test_a_transformer_makes_the_request(database_url: str) -> None:
    path = f"{__name__}:by_order"
    callers = {"tokens": [HASH]}
    async with receiving(database_url, callers=callers, transformers={"notify": path}) as play:
        await play.post(event())
        answer = await call(play, {"order": 12}, kind="notify")
        assert answer.status_code == 202
        text = "SELECT payload->'data'->>'text' FROM event WHERE event_id = $1"
        assert await play.value(text, answer.json()["event"]) == "Order 12 has left"
        dropped = await call(play, {"news": 1}, kind="notify")
        assert (dropped.status_code, dropped.json()["result"]) == (202, "dropped")
        assert (await call(play, {"order": "boom"}, kind="notify")).status_code == 400, (
            "it passes on as it is"
        )
        passed = await call(play, {**HELLO, "order": "boom"}, kind="notify")
        assert passed.status_code == 400, "and must then be a request of the usual form"


async def test_a_transformer_that_fails_refuses_where_it_is_told_to(database_url: str) -> None:
    transformers = {"inject": f"{__name__}:by_order", "abort_on_error": True}
    async with receiving(database_url, callers={"tokens": [HASH]}, transformers=transformers) as play:
        await play.post(event())
        answer = await call(play, {"order": "boom"})
        assert answer.status_code == 500 and "secret" not in answer.text
        assert await play.value("SELECT count(*) FROM event") == 1


def logs(request: CallRequest) -> dict[str, Any]:
    """Logs what it gets, and what the session keeps."""
    logging.getLogger("a.transformer").warning("%s of %s", request.kind, request.payload)
    logging.getLogger("a.transformer").warning("kept: %s", request.storage)
    request.storage["kept"] = request.payload["text"]
    return {"text": "made", "data": {}}


async def alogs(request: CallRequest) -> dict[str, Any]:
    """The same in the loop; and it fails."""
    logs(request)
    raise KeyError(request.payload["text"])


@pytest.mark.parametrize("name", ["logs", "alogs"])
async def test_what_a_transformer_logs_is_masked(database_url: str, logged: io.StringIO, name: str) -> None:
    transformers = {"inject": f"{__name__}:{name}", "notify": f"{__name__}:{name}"}
    settings: dict[str, Any] = {"transformers": transformers, "mask_sensitive_logging": True}
    async with receiving(database_url, callers={"tokens": [HASH]}, **settings) as play:
        await play.post(event())
        storage = f'{{"n": "{DATA}"}}'
        await play.database.execute(
            "INSERT INTO session (conversation_id, storage) VALUES (1, $1::jsonb)", storage
        )
        for kind in ("inject", "notify"):
            body = {"sessionId": "conv-1", "text": TEXT, "data": {}}
            assert (await call(play, body, kind=kind)).status_code == 202
            wrong = {"userId": IDENTITY, "sessionId": "conv-1", "text": TEXT}
            assert (await call(play, wrong, kind=kind)).status_code in (202, 404)
    assert logged.getvalue().count("***") >= 4
    assert not [word for word in (TEXT, DATA, IDENTITY) if word in logged.getvalue()]


async def test_calls_are_counted_by_what_they_are(play: Scene) -> None:
    await call(play)
    await call(play, kind="notify")
    metrics = (await play.admin("/metrics")).text
    for kind in ("PARLEY_INJECT", "PARLEY_NOTIFY"):
        assert f'parley_events_total{{endpoint="support",result="stored",type="{kind}"}} 1.0' in metrics


async def test_notify_takes_of_a_message_what_8x8_does(play: Scene) -> None:
    message = {"attachments": [{"id": "f"}], "cards": [], "text": "x", "authorType": "user"}
    assert (await call(play, {"sessionId": "conv-1", "data": message}, kind="notify")).status_code == 202
    for key in ("conversationId", "user", "assignment"):
        body = {"sessionId": "conv-1", "data": {"text": "x", key: "OTHER"}}
        refused = await call(play, body, kind="notify")
        assert refused.status_code == 400 and key in refused.json()["error"]
        assert (await call(play, body)).status_code == 202, "a bot may be told anything"


async def test_8x8_can_not_send_events_of_services(play: Scene) -> None:
    assert (await play.post(event("PARLEY_INJECT"))).status_code == 400


async def test_the_ip_address_is_masked_before_anything_is_stored(database_url: str) -> None:
    user = {"name": "Ann", "ipaddress": "203.0.113.77"}
    names = (
        "clientIp",
        "client_ip",
        "userIp",
        "userip",
        "X-Client-IP",
        "user IP address",
        "ipV4",
        "remote_addr",
    )
    more = {"additionalProperties": [{"key": name, "value": "203.0.113.77"} for name in names]}
    more["additionalProperties"] += [{"key": name, "value": f"{name}!"} for name in ("zip", "tip", "shipTo")]
    async with receiving(database_url, mask_ip_address=True) as play:
        body = event("CONVERSATION_UPDATE", state="active", user=user | more)
        assert (await play.post(body, event_id="e1")).status_code == 200
        assert (await play.post(body, event_id="e1")).json() == {"result": "duplicate"}
        row = await play.row("SELECT body, payload::text FROM event")
        assert b"203.0.113" not in row["body"] and "203.0.113" not in row["payload"]
        assert all(word in row["payload"] for word in ("Ann", "zip!", "tip!", "shipTo!"))
