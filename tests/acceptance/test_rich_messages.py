"""Rich messages both ways, through real processes: what the user sees, what the bot gets."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from app.conversation.content import output
from app.gateway.outgoing import render
from app.gateway.rendering import deliverables
from app.sandbox import calls, schema
from tests.acceptance.bots import SHOWN
from tests.acceptance.stage import Stage, Talk

CHANNELS: tuple[schema.Channel, ...] = ("WebChat", "WhatsApp", "SMS", "Facebook", "Viber", "RCS", "ChatAPI")


def seen(talk: Talk, at_least: int) -> list[dict[str, Any]]:
    """The bot's messages as the user's side has them."""
    wanted = calls.messages(talk.id, author="bot", at_least=at_least, timeout=30)
    return [
        {
            "text": message.text,
            "cards": [{"contentType": card.content_type, "content": card.content} for card in message.cards],
        }
        for message in talk.stage.sandbox(wanted).messages
    ]


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_type_reaches_the_user_as_it_is_rendered_for_the_channel(
    stage: Stage, channel: schema.Channel
) -> None:
    talks = {name: stage.talk("rich", channel=channel, announce=True) for name in SHOWN}
    for talk in talks.values():
        talk.stage.sandbox(calls.settled())
    for name, talk in talks.items():
        talk.say(name)
    for name, talk in talks.items():
        bodies = [render(part) for part in deliverables(output(SHOWN[name], None, None, None), channel)]
        expected = [{"text": body["text"], "cards": body.get("cards", [])} for body in bodies]
        assert seen(talk, len(expected)) == expected, name
        talk.quiet()
        assert [status for status, _ in talk.deliveries()] == ["sent"] * len(expected)


def got(talk: Talk, turn: int = 0) -> dict[str, Any]:
    """What the bot says that it got; the choices below are left out."""
    found: dict[str, Any] = json.loads(talk.texts(turn + 1)[turn].partition("\n")[0])
    return found


def test_what_a_user_does_is_a_message_with_kind_text_payload_and_data(stage: Stage) -> None:
    reply = {"type": "button_reply", "button_reply": {"id": "b1", "title": "Yes"}}
    row = {"type": "list_reply", "list_reply": {"id": "r1", "title": "Row", "description": "x"}}
    place = {"contentType": "Location", "content": {"latitude": 47.4, "longitude": 8.5}}
    location = {"eventType": "MESSAGE", "timestamp": int(time.time() * 1000)}
    location["data"] = {"isEcho": False, "sender": {"id": "u", "type": "user"}, "text": "", "cards": [place]}
    acts: list[tuple[schema.Channel, Any, dict[str, Any]]] = [
        (
            "WebChat",
            lambda talk: calls.quick_reply(talk.id, title="Large", payload="l"),
            {
                "kind": "quick_reply",
                "text": "Large",
                "payload": "l",
                "data": {"title": "Large", "payload": "l"},
            },
        ),
        (
            "WebChat",
            lambda talk: calls.use_card(talk.id, {"n": 1}),
            {"kind": "card", "text": "", "payload": "Action.Submit", "data": {"n": 1}},
        ),
        (
            "WebChat",
            lambda talk: calls.use_card(talk.id, {"n": 1}, execute=True),
            {"kind": "card", "text": "", "payload": "Action.Execute", "data": {"n": 1}},
        ),
        (
            "WhatsApp",
            lambda talk: calls.activity(talk.id, "interactive/reply", reply),
            {"kind": "interactive", "text": "Yes", "payload": "b1", "data": reply["button_reply"]},
        ),
        (
            "RCS",
            lambda talk: calls.activity(talk.id, "interactive/reply", row),
            {"kind": "interactive", "text": "Row", "payload": "r1", "data": row["list_reply"]},
        ),
        (
            "WhatsApp",
            lambda talk: calls.send_event(
                talk.id, schema.RawEvent(event={"conversationId": talk.id, **location})
            ),
            {"kind": "location", "text": "", "payload": None, "data": place["content"]},
        ),
    ]
    talks = [stage.talk("rich", channel=channel, announce=True) for channel, _, _ in acts]
    for talk, (_, act, _) in zip(talks, acts, strict=True):
        stage.sandbox(act(talk))
    for talk, (_, _, expected) in zip(talks, acts, strict=True):
        assert got(talk) == expected


def test_an_unknown_activity_reaches_a_bot_that_waits_answers_no_question_and_starts_nothing(
    stage: Stage,
) -> None:
    waits, asks = stage.talk("rich", channel="Viber"), stage.talk("asks", channel="Viber")
    for talk, word in ((waits, "buttons"), (asks, "hi")):
        talk.say(word)
        talk.texts(1)
        stage.sandbox(calls.activity(talk.id, "sticker/sent", ["any", 1]))
    data = {"name": "sticker/sent", "value": ["any", 1]}
    assert got(waits, 1) == {"kind": "activity", "text": "", "payload": None, "data": data}
    for number in range(1, 6):
        asks.say(f"a{number}")
        asks.texts(number + 1)
    assert asks.texts(6)[5] == "Answers: a1 a2 a3 a4 a5"
    for talk in (waits, asks):  # both dialogs are over
        before = len(talk.texts(1))
        stage.sandbox(calls.activity(talk.id, "message/delivered", {}))
        talk.quiet()
        assert len(talk.texts(1)) == before


def test_a_number_is_the_click_it_stands_for(stage: Stage) -> None:
    buttons, card = (stage.talk("rich", channel="SMS", announce=True) for _ in range(2))
    for talk, name in ((buttons, "buttons"), (card, "card")):
        talk.say(name)
        assert "1. " in talk.texts(1)[0]
        talk.say("1")
    clicked, submitted = got(buttons, 1), got(card, 1)
    assert (clicked["kind"], clicked["text"], clicked["payload"]) == ("quick_reply", "Order", "order")
    assert submitted == {"kind": "card", "text": "", "payload": "Action.Submit", "data": {"order": 7}}
    for talk in (buttons, card):  # the dialog is over, what it offered last is still to be seen
        talk.quiet()
        talk.say("2")
        assert (got(talk, 2)["kind"], got(talk, 2)["text"]) == ("quick_reply", "No")


def test_a_click_on_a_button_of_our_card_is_the_choice(stage: Stage) -> None:
    talk = stage.talk("rich", announce=True)
    talk.say("buttons")
    [message] = seen(talk, 1)
    [order, *_] = message["cards"][0]["content"]["actions"]
    stage.sandbox(calls.use_card(talk.id, order["data"]))
    assert got(talk, 1)["payload"] == "order"
