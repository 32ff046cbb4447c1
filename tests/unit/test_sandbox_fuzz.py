"""Whatever is posted, the sandbox takes it or refuses it; it never fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sandbox.schema import ConversationView
from tests.sandbox_bench import Bench, bench_running, path

FIELDS = [
    "authorType",
    "text",
    "attachments",
    "cards",
    "contentType",
    "content",
    "version",
    "options",
    "title",
    "externalProvider",
    "name",
    "externalMessageId",
    "assignment",
    "type",
    "id",
    "user",
    "additionalProperties",
    "key",
    "value",
    "channelId",
    "history",
    "messages",
    "configuration",
    "maxTotalMinutes",
    "notifyChannelWebhookIfExists",
    "readAt",
    "maxThinkingTimeSeconds",
    "removed",
    "uri",
    "notificationVersion",
    "webHookId",
    "routingOptions",
]
WORDS = ["bot", "user", "queue", "script", "webhook", "101", "1", "AdaptiveCard", "Chat Gateway v1.0", "X"]
CARDS = ["application/vnd.microsoft.card.adaptive", "application/8x8.quick.replies", "Location"]

leaves = (
    st.sampled_from([*WORDS, *CARDS, "http://127.0.0.1:1/", "http://[", "\x00", ""])
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=25,
)
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8) | values

ADAPTIVE, QUICK, _ = CARDS
GOOD: list[tuple[tuple[str, str], dict[str, Any]]] = [
    (
        ("POST", "messages"),
        {
            "authorType": "bot",
            "text": "hi",
            "attachments": [],
            "cards": [
                {"contentType": ADAPTIVE, "content": {"type": "AdaptiveCard", "version": "1.3"}},
                {"contentType": QUICK, "content": {"options": [{"title": "a", "data": {"postback": "1"}}]}},
            ],
        },
    ),
    (
        ("PATCH", ""),
        {
            "assignment": {"type": "queue", "id": "101"},
            "user": {"name": "Ada", "additionalProperties": [{"key": "a", "value": "b"}]},
        },
    ),
    (
        ("POST", "post-agent-assignment"),
        {
            "type": "webhook",
            "id": "1",
            "configuration": {"notifyChannelWebhookIfExists": "false", "maxTotalMinutes": 20},
        },
    ),
    (
        ("POST", "/chat-gateway/v1/channels"),
        {"name": "c", "webHookId": "2", "routingOptions": {"type": "queue", "id": "101"}},
    ),
    (
        ("POST", "/chat-gateway/v1/conversations"),
        {"channelId": "5", "user": {}, "history": {"messages": [{"authorType": "user", "text": "x"}]}},
    ),
]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in places(item, (*at, key)))]


def with_replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """A copy in which the value at a path is another."""
    if not place:
        return new
    copied = json.loads(json.dumps(value))
    holder = copied
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = new
    return copied


CALLS = [
    ("POST", "messages"),
    ("PATCH", ""),
    ("PUT", ""),
    ("POST", "post-agent-assignment"),
    ("POST", "typing"),
    ("POST", "thinking"),
    ("POST", "read-receipt"),
    ("PATCH", "participants/user"),
    ("POST", "attachments"),
    ("POST", "/chat-gateway/v1/conversations"),
    ("POST", "/chat-gateway/v1/webhooks"),
    ("POST", "/chat-gateway/v1/webhooks/verify"),
    ("POST", "/chat-gateway/v1/channels"),
]


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Bench, ConversationView]]:
    with bench_running() as bench:
        yield bench, bench.start(channel="ChatAPI")


def tried(started: tuple[Bench, ConversationView], call: tuple[str, str], content: bytes) -> int:
    bench, conversation = started
    method, rest = call
    url = rest if rest.startswith("/") else path(conversation, rest)
    response = bench.http.request(method, url, content=content, headers={"content-type": "application/json"})
    if response.status_code >= 400:
        assert response.json()["message"]
        assert response.json()["errors"]
    return response.status_code


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=st.sampled_from(CALLS), body=bodies)
def test_no_json_makes_it_fail(
    started: tuple[Bench, ConversationView], call: tuple[str, str], body: Any
) -> None:
    assert tried(started, call, json.dumps(body).encode()) < 500


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_single_wrong_field_makes_it_fail(
    started: tuple[Bench, ConversationView], data: st.DataObject
) -> None:
    call, body = data.draw(st.sampled_from(GOOD))
    place = data.draw(st.sampled_from(places(body)))
    wrong = with_replaced(body, place, data.draw(values))
    assert tried(started, call, json.dumps(wrong).encode()) < 500


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=st.sampled_from(CALLS), content=st.binary(max_size=60))
def test_no_bytes_make_it_fail(
    started: tuple[Bench, ConversationView], call: tuple[str, str], content: bytes
) -> None:
    assert tried(started, call, content) < 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("ab=!;,().*[]~1", max_size=40))
def test_no_filter_makes_it_fail(started: tuple[Bench, ConversationView], text: str) -> None:
    bench, _ = started
    response = bench.http.get("/chat-gateway/v1/conversations", params={"filter": text})
    assert response.status_code in (200, 400)
