"""The events the sandbox sends: signed as 8x8 signs, in order, until they are taken."""

from __future__ import annotations

import base64
import json
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import RSAKey

from app.sandbox import calls, schema
from app.sandbox.faults import (
    EchoOff,
    Outage,
    WebhookBadSignature,
    WebhookDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookReorder,
)
from tests.sandbox_bench import CUSTOMER, OTHER_TENANT, TENANT, Bench, Hook, bench_running, sink_running


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.fresh()
    return shared_bench


def protected_header(hook: Hook) -> dict[str, Any]:
    encoded = hook.headers["x-8x8-signature"].split(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return header


def verify(bench: Bench, hook: Hook) -> None:
    """Verify with a library the sandbox doesn't use and the published key. Raises BadSignatureError."""
    headers = hook.headers
    payload = (
        f'{{"checksum":{zlib.crc32(hook.body)},"cid":"{headers["x-8x8-customer-id"]}",'
        f'"eid":"{headers["x-8x8-event-id"]}","retry":{headers["x-8x8-retry"]},'
        f'"tid":"{headers["x-8x8-tenant-id"]}","tt":{headers["x-8x8-transmission-time"]}}}'
    )
    kid = protected_header(hook)["kid"]
    del bench.http.headers["x-api-key"]
    try:
        jwk = bench.http.get(f"/chat-gateway/v1/jwk/{kid}/public").raise_for_status().json()
    finally:
        bench.http.headers["x-api-key"] = "sandbox-test-key-1"
    jws.deserialize_compact(headers["x-8x8-signature"], RSAKey.import_key(jwk), ["RS256"], payload=payload)


def test_a_webhook_is_signed_as_8x8_signs(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.say(conversation.id, "Grüße 👋"))
    bench.settle()
    [hook] = bench.sink.hooks
    assert hook.headers["content-type"] == "application/json"
    assert hook.headers["x-8x8-tenant-id"] == TENANT
    assert hook.headers["x-8x8-customer-id"] == CUSTOMER
    assert hook.headers["x-8x8-retry"] == "0"
    assert abs(int(hook.headers["x-8x8-transmission-time"]) - time.time() * 1000) < 10_000
    kid = bench.control(calls.keys()).current
    assert protected_header(hook) == {"b64": False, "crit": ["b64"], "kid": kid, "alg": "RS256"}
    assert hook.headers["x-8x8-signature"].split(".")[1] == ""
    verify(bench, hook)


def test_a_signature_does_not_fit_another_body(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.say(conversation.id, "pay 1"))
    bench.settle()
    [hook] = bench.sink.hooks
    with pytest.raises(BadSignatureError):
        verify(bench, Hook(hook.path, hook.headers, hook.body.replace(b"pay 1", b"pay 9"), hook.at))


def test_starting_a_conversation_tells_created_then_active(bench: Bench) -> None:
    conversation = bench.start(forget=False, user={"name": "Ada", "phone": "+41"}, channel="WhatsApp")
    created, active = bench.sink.events()
    assert (created["eventType"], active["eventType"]) == ("CONVERSATION_UPDATE", "CONVERSATION_UPDATE")
    assert [event["data"]["state"] for event in (created, active)] == ["created", "active"]
    assert active["conversationId"] == conversation.id
    assert active["data"]["user"]["name"] == "Ada"
    assert active["data"]["msisdn"] == "+41"
    assert active["data"]["channel"] == "WhatsApp"
    assert active["data"]["assignment"] == {"type": "script", "id": "2001"}


def test_a_conversation_can_start_unannounced(bench: Bench) -> None:
    bench.start(forget=False, announce=False)
    assert bench.sink.hooks == []


def test_what_the_user_does_arrives_as_the_documented_events(bench: Bench) -> None:
    conversation = bench.start(user={"userId": "user-456"})
    one = conversation.id
    bench.control(calls.say(one, "Hi"))
    bench.control(calls.quick_reply(one, title="Yes", payload="yes"))
    bench.control(calls.use_card(one, {"rating": 5}))
    bench.control(calls.activity(one, "interactive/reply", {"type": "button_reply"}))
    bench.control(calls.user_typing(one))
    bench.control(calls.user_typing(one, on=False))
    bench.settle()
    message, quick, card, other, typing, stopped = bench.sink.events()
    assert message["data"] == {"isEcho": False, "sender": {"id": "user-456", "type": "user"}, "text": "Hi"}
    assert quick["data"] == {
        "name": "quickReply/action",
        "value": {"type": "postback", "data": {"title": "Yes", "payload": "yes"}},
    }
    assert card["data"] == {
        "name": "adaptiveCard/action",
        "value": {"type": "Action.Submit", "data": {"rating": 5}},
    }
    assert other["data"] == {"name": "interactive/reply", "value": {"type": "button_reply"}}
    assert typing["data"]["value"]["users"] == [{"id": "user-456", "type": "user"}]
    assert stopped["data"]["value"]["users"] == []


def test_a_file_arrives_with_a_link_that_needs_no_key_and_can_not_be_guessed(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.send_file(conversation.id, "cat ä.png", b"\x89PNG\x00", text="my cat"))
    bench.settle()
    [event] = bench.sink.events("MESSAGE")
    [file] = event["data"]["attachments"]
    assert (file["type"], file["fileName"]) == ("image", "cat ä.png")
    link = file["preSignedUrl"]
    assert link.startswith(bench.url)
    assert bench.http.get(link, headers={"x-api-key": ""}).content == b"\x89PNG\x00"
    assert bench.http.get(link.replace("signature=", "signature=0")).status_code == 404
    later = link.replace("expires=", "expires=9")
    assert bench.http.get(later).status_code == 404


def test_a_quick_reply_can_be_chosen_by_number(bench: Bench) -> None:
    conversation = bench.start()
    options = [{"title": "A", "data": {"postback": "1"}}, {"title": "B", "data": {"postback": "2"}}]
    card = {"contentType": "application/8x8.quick.replies", "content": {"options": options}}
    assert bench.bot_says(conversation, cards=[card]).status_code == 202
    bench.control(calls.quick_reply(conversation.id, 2))
    bench.settle()
    [event] = bench.sink.events("ACTIVITY")
    assert event["data"]["value"]["data"] == {"title": "B", "payload": "2"}


def test_a_bots_message_comes_back_as_an_echo(bench: Bench) -> None:
    conversation = bench.start()
    bench.bot_says(conversation, "Hello")
    bench.settle()
    [event] = bench.sink.events()
    assert event["data"]["isEcho"] is True
    assert event["data"]["sender"] == {"id": "bot", "type": "bot"}
    assert event["data"]["text"] == "Hello"


def test_echoes_can_be_off_for_the_next_ones(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(EchoOff(count=2)))
    for text in ("one", "two", "three"):
        bench.bot_says(conversation, text)
    bench.settle()
    assert bench.sink.texts() == ["three"]


def test_a_webhook_is_sent_again_until_it_is_taken(bench: Bench) -> None:
    conversation = bench.start()
    answers = iter([500, 404, 302, 204])
    bench.sink.answer = lambda hook: next(answers)
    posted = bench.control(calls.say(conversation.id, "Hi"))
    bench.settle()
    hooks = bench.sink.hooks
    assert [hook.headers["x-8x8-retry"] for hook in hooks] == ["0", "1", "2", "3"]
    assert len({hook.headers["x-8x8-event-id"] for hook in hooks}) == 1
    assert len({hook.body for hook in hooks}) == 1
    times = [int(hook.headers["x-8x8-transmission-time"]) for hook in hooks]
    assert times == sorted(set(times))
    for hook in hooks:
        verify(bench, hook)
    assert posted.seq is not None
    [record] = bench.control(calls.webhooks(conversation=conversation.id, event_type="MESSAGE")).webhooks
    assert (record.outcome, record.retries) == ("delivered", 3)
    assert [attempt.status for attempt in record.attempts] == [500, 404, 302, 204]


def test_an_endpoint_that_is_away_gets_its_events_in_order_when_it_is_back(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    bench.control(calls.put_tenant("away", "away-key", {"*": f"http://127.0.0.1:{port}/8x8/token"}))
    conversation = bench.control(calls.start(tenant="away", announce=False))
    for number in range(3):
        bench.control(calls.say(conversation.id, str(number)))
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        first = bench.control(calls.webhooks(conversation=conversation.id)).webhooks[0]
        if first.attempts:
            break
    assert first.attempts[0].status is None
    assert "refused" in str(first.attempts[0].error).lower()
    with sink_running(port) as sink:
        bench.settle()
        assert sink.texts() == ["0", "1", "2"]


def test_twenty_quick_messages_keep_their_order(bench: Bench) -> None:
    conversation = bench.start()
    for number in range(20):
        bench.control(calls.say(conversation.id, str(number)))
    bench.settle()
    assert bench.sink.texts() == [str(number) for number in range(20)]


def test_a_refused_event_holds_back_only_its_own_conversation(bench: Bench) -> None:
    stuck, other = bench.start(), bench.start()
    bench.sink.answer = lambda hook: 503 if hook.event["conversationId"] == stuck.id else 200
    bench.control(calls.say(stuck.id, "first"))
    bench.control(calls.say(stuck.id, "second"))
    bench.control(calls.say(other.id, "hello"))
    deadline = time.monotonic() + 5
    while "hello" not in bench.sink.texts() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "hello" in bench.sink.texts()
    assert "second" not in bench.sink.texts()
    bench.sink.answer = lambda hook: 200
    bench.settle()
    assert [text for text in bench.sink.texts() if text != "first"] == ["hello", "second"]


def test_an_event_can_be_sent_several_times_at_once(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(WebhookDuplicate(copies=10, count=1, event_type="MESSAGE")))
    bench.control(calls.say(conversation.id, "one"))
    bench.control(calls.say(conversation.id, "two"))
    bench.settle()
    assert bench.sink.texts() == ["one"] * 10 + ["two"]
    assert len({hook.headers["x-8x8-event-id"] for hook in bench.sink.hooks[:10]}) == 1


def test_an_event_can_be_overtaken_by_the_next(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(WebhookReorder(hold_ms=3000, count=1)))
    for text in ("one", "two", "three"):
        bench.control(calls.say(conversation.id, text))
    bench.settle()
    assert bench.sink.texts() == ["two", "one", "three"]


def test_an_event_can_be_late(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(WebhookDelay(ms=300, count=1)))
    started = time.monotonic()
    bench.control(calls.say(conversation.id, "late"))
    bench.settle()
    assert bench.sink.hooks[0].at - started >= 0.3


def test_an_event_can_be_missing(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(WebhookDrop(count=1, conversation=conversation.id)))
    bench.control(calls.say(conversation.id, "lost"))
    bench.control(calls.say(conversation.id, "found"))
    bench.settle()
    assert bench.sink.texts() == ["found"]


def test_an_event_can_be_signed_badly_once(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(WebhookBadSignature(count=1)))
    answers = iter([401, 200])
    bench.sink.answer = lambda hook: next(answers)
    bench.control(calls.say(conversation.id, "Hi"))
    bench.settle()
    bad, good = bench.sink.hooks
    with pytest.raises(BadSignatureError):
        verify(bench, bad)
    verify(bench, good)


def test_in_an_outage_webhooks_wait_and_rest_fails(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(Outage(for_seconds=0.6)))
    started = time.monotonic()
    bench.control(calls.say(conversation.id, "Hi"))
    assert bench.bot_says(conversation).status_code == 503
    kid = bench.control(calls.keys()).current
    assert bench.http.get(f"/chat-gateway/v1/jwk/{kid}/public").status_code == 503
    bench.settle()
    assert bench.sink.hooks[0].at - started >= 0.5
    assert bench.bot_says(conversation).status_code == 202


def test_after_a_rotation_the_new_key_signs_and_the_old_one_stays_published(bench: Bench) -> None:
    conversation = bench.start(forget=False)
    keys = bench.control(calls.rotate_key())
    bench.control(calls.say(conversation.id, "Hi"))
    bench.settle()
    old, new = bench.sink.hooks[0], bench.sink.hooks[-1]
    assert protected_header(new)["kid"] == keys.current != protected_header(old)["kid"]
    verify(bench, old)
    verify(bench, new)
    forgotten = protected_header(old)["kid"]
    assert bench.control(calls.rotate_key(forget=True)).published != []
    assert bench.http.get(f"/chat-gateway/v1/jwk/{forgotten}/public").status_code == 404


def test_raw_events_can_be_forged_in_every_way(bench: Bench) -> None:
    conversation = bench.start()
    bench.sink.answer = lambda hook: 401
    raw = {"eventType": "SOMETHING_NEW", "conversationId": conversation.id, "timestamp": 1}
    event = schema.RawEvent(event=dict(raw), signature="none", event_id="e-1")
    record = bench.control(calls.send_event(conversation.id, event))
    assert (record.outcome, record.attempts[0].status) == ("given_up", 401)
    assert "x-8x8-signature" not in bench.sink.hooks[-1].headers
    wrong = schema.RawEvent(event=dict(raw), signature="wrong_key")
    bench.control(calls.send_event(conversation.id, wrong))
    with pytest.raises(BadSignatureError):
        verify(bench, bench.sink.hooks[-1])
    other = schema.RawEvent(event=dict(raw), tenant=OTHER_TENANT, clock_offset_ms=-3_600_000, retry=4)
    bench.control(calls.send_event(conversation.id, other))
    hook = bench.sink.hooks[-1]
    verify(bench, hook)
    assert (hook.headers["x-8x8-tenant-id"], hook.headers["x-8x8-retry"]) == (OTHER_TENANT, "4")
    assert int(hook.headers["x-8x8-transmission-time"]) < (time.time() - 3000) * 1000
    bench.sink.answer = lambda hook: 200
    broken = schema.RawEvent(body='{"eventType":"MESSAGE","x":"\\u0000\\ud800"')
    queued = bench.control(calls.send_event(conversation.id, broken))
    assert bench.control(calls.webhook(queued.event_id, timeout=5)).outcome == "delivered"
    assert bench.sink.hooks[-1].body == b'{"eventType":"MESSAGE","x":"\\u0000\\ud800"'


def test_a_logged_event_can_be_sent_again(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.say(conversation.id, "Hi"))
    bench.settle()
    [first] = bench.sink.hooks
    bench.control(calls.resend(first.headers["x-8x8-event-id"]))
    again = bench.sink.hooks[-1]
    assert len(bench.sink.hooks) == 2
    assert again.body == first.body
    assert again.headers["x-8x8-event-id"] == first.headers["x-8x8-event-id"]


def test_requests_can_be_signed_for_others_to_post(bench: Bench) -> None:
    conversation = bench.start(announce=False)
    events = [
        schema.SignItem(conversation=conversation.id, event={"eventType": "MESSAGE", "n": number})
        for number in range(3)
    ]
    signed = bench.control(calls.sign(events)).requests
    assert len({request.event_id for request in signed}) == 3
    for number, request in enumerate(signed):
        assert request.url == bench.sink.url
        assert json.loads(request.body)["n"] == number
        verify(bench, Hook("", request.headers, request.body.encode(), 0))
    assert bench.sink.hooks == []
