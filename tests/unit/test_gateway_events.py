"""Webhook bodies: every documented event, and everything else that may come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bot import Message
from app.errors import EventRefused
from app.gateway.events import (
    AgentMessage,
    Echo,
    MemberChange,
    ParsedEvent,
    Queued,
    ReadReceipts,
    StateChange,
    Transfer,
    Typing,
    Unknown,
    UserInput,
    interpret,
    parse,
    storable,
)
from app.gateway.storable import DEEPEST, TOO_DEEP

DOCUMENTED = Path(__file__).parents[3] / "shared" / "8x8" / "events"
AT = 1713100000000


def body(kind: str, data: Any = None, **more: Any) -> bytes:
    event = {"eventType": kind, "conversationId": "c-1", "timestamp": AT, **more}
    if data is not None:
        event["data"] = data
    return json.dumps(event).encode()


def meaning(kind: str, data: Any = None) -> Any:
    return interpret(parse(body(kind, data)).payload)


def test_an_event_is_read_with_its_type_conversation_and_time() -> None:
    event = parse(body("TRANSFER"))
    assert (event.type, event.conversation_id) == ("TRANSFER", "c-1")
    assert event.timestamp == datetime(2024, 4, 14, 13, 6, 40, tzinfo=UTC)


@pytest.mark.skipif(not DOCUMENTED.is_dir(), reason="8x8's documented examples are not beside the repository")
def test_every_documented_example_is_understood() -> None:
    examples = sorted(DOCUMENTED.glob("*.json"))
    assert examples
    for example in examples:
        event = parse(example.read_bytes())
        understood = event.type == "WEB_HOOK_VERIFY" or not isinstance(interpret(event.payload), Unknown)
        assert understood, example.name


def test_a_users_message_is_input_with_its_attachments_and_cards() -> None:
    file = {"id": "a", "type": "image", "preSignedUrl": "https://files/a", "fileName": "a.png"}
    card = {"contentType": "x", "content": {}}
    found = meaning(
        "MESSAGE",
        {"isEcho": False, "sender": {"type": "user"}, "text": "hi", "attachments": [file], "cards": [card]},
    )
    assert found == UserInput(
        {
            "kind": "text",
            "text": "hi",
            "payload": None,
            "data": None,
            "attachments": [{"id": "a", "type": "image", "url": "https://files/a", "name": "a.png"}],
            "cards": [card],
        }
    )


def test_a_message_without_text_is_an_empty_one() -> None:
    found = meaning("MESSAGE", {"sender": {"type": "user"}, "text": None})
    assert isinstance(found, UserInput)
    assert found.message["text"] == ""


@pytest.mark.parametrize("sender", ["bot", "user", "agent", "martian"])
def test_an_echo_is_one_whoever_is_named_as_its_sender(sender: str) -> None:
    found = meaning("MESSAGE", {"isEcho": True, "sender": {"type": sender}, "text": "x"})
    assert isinstance(found, Echo)
    assert found.text == "x"


def test_a_bots_message_is_an_echo_even_unmarked() -> None:
    assert isinstance(meaning("MESSAGE", {"sender": {"type": "bot"}, "text": "x"}), Echo)


def test_an_agents_message_names_the_agent() -> None:
    found = meaning("MESSAGE", {"isEcho": False, "sender": {"type": "agent", "id": "7"}, "text": "x"})
    assert isinstance(found, AgentMessage)
    assert (found.agent_id, found.message["text"]) == ("7", "x")


def test_a_message_of_an_unknown_sender_is_no_input() -> None:
    assert meaning("MESSAGE", {"sender": {"type": "martian"}, "text": "x"}) == Unknown("MESSAGE")
    assert meaning("MESSAGE", {"text": "x"}) == Unknown("MESSAGE")


@pytest.mark.parametrize(
    ("value", "text", "payload"),
    [
        ({"type": "postback", "data": {"title": "Yes", "payload": "y"}}, "Yes", "y"),
        ({"type": "postback", "data": {"title": "Yes", "postback": "y"}}, "Yes", "y"),
        ({"type": "postback", "title": "Yes", "data": "y"}, "Yes", "y"),
        ({"type": "postback", "data": "y"}, "y", "y"),
        ({"data": {"title": "Yes", "payload": {"n": 1}}}, "Yes", '{"n":1}'),
        ({"data": {"title": "Yes"}}, "Yes", None),
        ("y", "y", "y"),
        (None, "", None),
    ],
)
def test_a_quick_reply_is_input_wherever_its_payload_stands(
    value: Any, text: str, payload: str | None
) -> None:
    found = meaning("ACTIVITY", {"name": "quickReply/action", "value": value})
    assert isinstance(found, UserInput)
    assert found.message["kind"] == "quick_reply"
    assert (found.message["text"], found.message["payload"]) == (text, payload)


def test_a_used_card_is_input_with_its_data() -> None:
    found = meaning(
        "ACTIVITY", {"name": "adaptiveCard/action", "value": {"type": "Action.Submit", "data": {"n": 5}}}
    )
    assert isinstance(found, UserInput)
    message = found.message
    assert (message["kind"], message["text"], message["payload"]) == ("card", "", "Action.Submit")
    assert message["data"] == {"n": 5}


def test_a_card_that_is_executed_is_input_too() -> None:
    value = {"type": "Action.Execute", "data": {"order": 7}}
    message = meaning("ACTIVITY", {"name": "adaptiveCard/action", "value": value}).message
    assert (message["kind"], message["payload"], message["data"]) == ("card", "Action.Execute", {"order": 7})


def test_a_button_of_parleys_own_cards_is_the_quick_reply_it_stands_for() -> None:
    value = {"type": "Action.Submit", "data": {"parley_postback": {"title": "Yes", "payload": "y"}}}
    message = meaning("ACTIVITY", {"name": "adaptiveCard/action", "value": value}).message
    assert (message["kind"], message["text"], message["payload"]) == ("quick_reply", "Yes", "y")
    assert message["data"] == {"title": "Yes", "payload": "y"}


@pytest.mark.parametrize("other", ["y", {}, {"payload": "y"}, None])
def test_a_bots_own_data_of_that_name_stays_a_submitted_card(other: Any) -> None:
    value = {"type": "Action.Submit", "data": {"parley_postback": other}}
    message = meaning("ACTIVITY", {"name": "adaptiveCard/action", "value": value}).message
    assert (message["kind"], message["data"]) == ("card", {"parley_postback": other})


@pytest.mark.parametrize("content_type", ["Location", "location"])
def test_a_place_is_input_with_what_8x8_tells_of_it(content_type: str) -> None:
    place = {"contentType": content_type, "content": {"latitude": 47.4}}
    message = meaning("MESSAGE", {"sender": {"type": "user"}, "cards": [place]}).message
    assert (message["kind"], message["text"], message["data"]) == ("location", "", {"latitude": 47.4})
    assert message["cards"] == [place]
    written = meaning("MESSAGE", {"sender": {"type": "user"}, "text": "here", "cards": [place]}).message
    assert written["kind"] == "text"


def test_files_without_a_word_are_a_message_with_attachments() -> None:
    files = [{"id": "a", "type": "image", "fileName": "a.png"}, {"id": "b", "url": "https://files/b"}]
    message = meaning("MESSAGE", {"sender": {"type": "user"}, "attachments": files}).message
    assert (message["kind"], message["text"]) == ("text", "")
    assert [each["name"] for each in message["attachments"]] == ["a.png", None]
    assert message["attachments"][1]["url"] == "https://files/b"


@pytest.mark.skipif(not DOCUMENTED.is_dir(), reason="8x8's documented examples are not beside the repository")
@pytest.mark.parametrize(
    ("name", "kind", "text", "payload", "data"),
    [
        (
            "activity_adaptivecard_action",
            "card",
            "",
            "Action.Submit",
            {"feedbackRating": 5, "comments": "Great service!"},
        ),
        (
            "activity_quickreply_action",
            "quick_reply",
            "Check order status",
            "order_status",
            {"title": "Check order status", "payload": "order_status"},
        ),
        ("activity_interactive_reply", "interactive", "Yes", "btn-1", {"id": "btn-1", "title": "Yes"}),
    ],
)
def test_documented_examples_of_input_reach_the_bot_whole(
    name: str, kind: str, text: str, payload: str, data: dict[str, Any]
) -> None:
    found = interpret(parse((DOCUMENTED / f"{name}.json").read_bytes()).payload)
    assert isinstance(found, UserInput)
    message = Message.from_json(found.message)
    assert (message.kind, message.text, message.payload, message.data) == (kind, text, payload, data)


@pytest.mark.parametrize("kind", ["button_reply", "list_reply"])
def test_an_interactive_reply_is_input_with_its_id(kind: str) -> None:
    found = meaning(
        "ACTIVITY", {"name": "interactive/reply", "value": {"type": kind, kind: {"id": "1", "title": "Yes"}}}
    )
    assert isinstance(found, UserInput)
    message = found.message
    assert (message["kind"], message["text"], message["payload"]) == ("interactive", "Yes", "1")


def test_any_other_activity_is_input_with_name_and_value() -> None:
    found = meaning("ACTIVITY", {"name": "location/share", "value": [1, 2]})
    assert isinstance(found, UserInput)
    assert found.message["kind"] == "activity"
    assert found.message["data"] == {"name": "location/share", "value": [1, 2]}


def test_what_is_no_input_is_told_apart() -> None:
    users = [{"id": "a", "type": "agent"}]
    assert meaning("ACTIVITY", {"name": "typing", "value": {"users": users}}) == Typing(tuple(users))
    assert meaning("ACTIVITY", {"name": "typing", "value": {"users": []}}) == Typing()
    assert meaning("ACTIVITY", {"name": "read-receipts", "value": [{"timestamp": 1}]}) == ReadReceipts(
        ({"timestamp": 1},)
    )
    assert meaning("QUEUED", {"queueId": 101, "queueName": "Q"}) == Queued("101", "Q")
    assert meaning("MEMBERS_CHANGED", {"memberType": "agent", "change": "Joined", "id": "a"}) == MemberChange(
        "agent", "joined", "a"
    )
    assert meaning("TRANSFER") == Transfer()
    assert meaning("AGENT_JOINED", {"agent": "x"}) == Unknown("AGENT_JOINED")


def test_a_state_change_tells_what_the_event_told() -> None:
    found = meaning("CONVERSATION_UPDATE", {"state": "active", "assignment": {"type": "agent", "id": "1"}})
    assert found == StateChange("active", {"type": "agent", "id": "1"}, None, None, None)


@pytest.mark.parametrize(
    "bad",
    [b"", b"hello", b"[]", b"{}", b'{"eventType": 3}', b'{"eventType": ""}', b"\xff\xfe", b"[" * 99_999],
)
def test_what_is_no_event_is_refused_with_400(bad: bytes) -> None:
    with pytest.raises(EventRefused) as refusal:
        parse(bad)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (rb'"a\u0000b"', "a\ufffdb"),
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"\ud83d\ude00"', "😀"),
        (b'"a\x00b"', "a\ufffdb"),
        (b'"a\xffb"', "a\ufffdb"),
        (b"1e999999", "1e999999"),
        (b"NaN", "NaN"),
        (b"-Infinity", "-Infinity"),
        (b"9" * 5000, "9" * 5000),
        (b"123456789012345678", 123456789012345678),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (rb'{"\u0000": 1}', {"\ufffd": 1}),
        (b"1.5", 1.5),
    ],
)
def test_what_the_database_refuses_is_replaced(raw: bytes, kept: Any) -> None:
    event = parse(b'{"eventType": "NEW", "x": ' + raw + b"}")
    assert event.payload["x"] == kept
    event.encoded()


def test_what_is_nested_too_deeply_is_cut_off() -> None:
    event = parse(b'{"eventType": "NEW", "x": ' + b"[" * 200 + b"]" * 200 + b"}")
    value: Any = event.payload["x"]
    levels = 1
    while isinstance(value, list):
        value, levels = value[0], levels + 1
    assert (value, levels) == (TOO_DEEP, DEEPEST)


@pytest.mark.parametrize(
    ("value", "year"),
    [
        *((AT, 2024), (str(AT), 2024), (AT + 0.5, 2024), (0, 1970), (-1, None), (10**15, None)),
        *((True, None), (None, None), ("soon", None), (10**40, None), ({}, None)),
    ],
)
def test_a_timestamp_that_cant_be_one_is_none(value: Any, year: int | None) -> None:
    found = parse(json.dumps({"eventType": "X", "timestamp": value}).encode()).timestamp
    assert (found.year if found else None) == year


@pytest.mark.parametrize(
    ("value", "expected"), [("c", "c"), (7, "7"), ("", None), (None, None), ([], None), ("x" * 513, None)]
)
def test_a_conversation_id_that_cant_be_one_is_none(value: Any, expected: str | None) -> None:
    assert parse(json.dumps({"eventType": "X", "conversationId": value}).encode()).conversation_id == expected


def test_a_huge_whole_number_becomes_a_string() -> None:
    assert storable([2**63, 2**63 - 1, -(2**63)]) == [str(2**63), 2**63 - 1, str(-(2**63))]
    assert isinstance(storable(10**5000), str)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(anything)
def test_anything_becomes_json_without_what_the_database_refuses(value: Any) -> None:
    text = json.dumps(storable(value), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert storable(json.loads(text)) == storable(value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["MESSAGE", "ACTIVITY", "CONVERSATION_UPDATE", "QUEUED", "MEMBERS_CHANGED"]), anything)
def test_no_data_is_too_strange_to_be_interpreted(kind: str, data: Any) -> None:
    event = ParsedEvent(kind, "c", None, {"eventType": kind, "data": storable(data)})
    interpret(event.payload)


activities = st.sampled_from(
    ["typing", "read-receipts", "quickReply/action", "adaptiveCard/action"]
) | st.just("interactive/reply")


@settings(max_examples=300, deadline=None)
@given(activities, anything | st.fixed_dictionaries({"type": st.text(), "data": anything}))
def test_no_activity_is_too_strange_to_be_interpreted(name: str, value: Any) -> None:
    interpret({"eventType": "ACTIVITY", "data": {"name": name, "value": storable(value)}})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_event_or_refused_with_400(raw: bytes) -> None:
    for text in (raw, b'{"eventType": "X", "data": ' + raw + b"}"):
        try:
            parse(text).encoded()
        except EventRefused as refusal:
            assert refusal.status == 400
