"""Chat's methods as a bot author uses them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from app.bot import BotError, Card, Chat, NoAnswer, QuickReply
from app.conversation.content import TEXT_LIMIT, output
from app.conversation.message import Attachment, Message
from app.testing import converse

CARD = {"type": "AdaptiveCard", "version": "1.3", "body": []}


class Choice(StrEnum):
    YES = "yes"


def number(text: str) -> int:
    return int(text)


# ask


async def asking(chat: Chat) -> None:
    try:
        answer = await chat.ask(
            "How many?", parse=number, retry="A number, please.", attempts=2, quick_replies=["1"]
        )
        await chat.say(f"{answer + 1}")
    except NoAnswer as error:
        assert isinstance(error, ValueError)
        await chat.say(f"gave up after {error.attempts}")


def test_ask_returns_what_parse_makes_of_the_answer() -> None:
    talk = converse(asking)
    [question] = talk.says("hi")
    assert (question.text, question.quick_replies) == ("How many?", ("1",))
    assert talk.clicks("1")[0].text == "2"


def test_ask_repeats_itself_with_the_retry_text_and_the_choices_and_gives_up() -> None:
    talk = converse(asking)
    talk.says("hi")
    [again] = talk.says("many")
    assert (again.text, again.quick_replies) == ("A number, please.", ("1",))
    assert talk.says("very many")[0].text == "gave up after 2"


def test_ask_without_retry_text_asks_the_same_with_an_apology() -> None:
    async def bot(chat: Chat) -> None:
        await chat.ask("How many?", parse=number)

    talk = converse(bot)
    talk.says("hi")
    assert talk.says("x")[0].text == "Sorry, I did not understand that. How many?"


def test_ask_without_parse_returns_the_text() -> None:
    async def bot(chat: Chat) -> None:
        name = await chat.ask("Name?")
        await chat.say(name.upper())

    talk = converse(bot)
    talk.says("hi")
    assert talk.says("ada")[0].text == "ADA"


def test_ask_times_out_like_receive() -> None:
    async def bot(chat: Chat) -> None:
        try:
            await chat.ask("Still there?", timeout=30)
        except TimeoutError:
            await chat.say("Goodbye.")

    talk = converse(bot)
    talk.says("hi")
    assert talk.waits(29) == []
    assert [reply.text for reply in talk.waits(1)] == ["Goodbye."]


def test_other_errors_of_parse_are_the_bots() -> None:
    async def bot(chat: Chat) -> None:
        await chat.ask("?", parse=dict[str, int]().__getitem__)

    talk = converse(bot)
    talk.says("hi")
    with pytest.raises(KeyError):
        talk.says("x")


def test_an_async_parse_is_refused() -> None:
    async def parse(text: str) -> str:
        return text

    async def bot(chat: Chat) -> None:
        answer = await chat.ask("?", parse=parse)
        raise AssertionError(answer)

    talk = converse(bot)
    talk.says("hi")
    with pytest.raises(BotError, match="plain function"):
        talk.says("x")


# say


def test_say_takes_text_quick_replies_cards_and_raw_messages() -> None:
    card = Card(CARD)
    assert output("hi", ["A", QuickReply("B", "b")], card, None) == {
        "text": "hi",
        "quick_replies": [{"title": "A", "payload": "A"}, {"title": "B", "payload": "b"}],
        "card": CARD,
        "raw": None,
    }
    assert output(None, None, None, {"text": "x"})["raw"] == {"text": "x"}
    assert type(output(Choice.YES, None, None, None)["text"]) is str


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "nothing to say"),
        ({"quick_replies": ["A"]}, "nothing to say"),
        ({"text": ""}, "is empty"),
        ({"text": " \n"}, "is empty"),
        ({"text": "a\0b"}, "NUL"),
        ({"text": "\ud83d"}, "lone surrogate"),
        ({"text": "x" * (TEXT_LIMIT + 1)}, "longer than 10,000"),
        ({"text": 3}, "must be a str, not int"),
        ({"text": "a", "quick_replies": [""]}, "title is empty"),
        ({"text": "a", "quick_replies": ["a\0"]}, "NUL"),
        ({"text": "a", "raw": {"text": "b"}}, "stands alone"),
        ({"raw": {}}, "at least one key"),
        ({"raw": {"a": float("inf")}}, "infinity"),
        ({"card": {"version": "1.3"}}, "AdaptiveCard"),
        ({"card": {"type": "AdaptiveCard"}}, "version"),
        ({"card": {**CARD, "body": ["\0"]}}, "NUL"),
        ({"card": {**CARD, "body": ({},)}}, "tuple"),
    ],
)
def test_what_can_not_be_sent_fails_where_it_is_said(arguments: dict[str, Any], part: str) -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(**arguments)

    with pytest.raises(BotError, match=part):
        converse(bot).says("hi")


def test_a_bot_can_say_something_else_instead_of_what_can_not_be_sent() -> None:
    async def bot(chat: Chat) -> None:
        try:
            await chat.say("a\0")
        except BotError:
            await chat.say("something else")
        await chat.receive()

    assert [reply.text for reply in converse(bot).says("hi")] == ["something else"]


def test_a_card_is_a_copy_that_later_changes_do_not_reach() -> None:
    content: dict[str, Any] = {**CARD, "body": [{"type": "TextBlock"}]}
    card = Card(content)
    content["body"].append("more")
    said = card.to_json()
    said["body"].clear()
    assert card.content == {**CARD, "body": [{"type": "TextBlock"}]}


# receive and message


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "1", True])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    async def bot(chat: Chat) -> None:
        await chat.receive(timeout=timeout)

    with pytest.raises(BotError, match="timeout"):
        converse(bot).says("hi")


def test_message_is_the_newest_input() -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(chat.message.text)
        message = await chat.receive()
        assert message is chat.message
        await chat.say(chat.message.text)

    talk = converse(bot)
    talk.says("one")
    talk.says("two")
    assert [reply.text for reply in talk.replies] == ["one", "two"]


def test_a_message_survives_json() -> None:
    message = Message(
        text="a",
        payload="b",
        kind="card",
        attachments=(Attachment(id="1", type="image", name="x.png", url="https://example.com/x"),),
        data={"n": 1},
        cards=({"contentType": "x", "content": {}},),
        author="agent",
    )
    assert Message.from_json(message.to_json()) == message


def test_a_message_is_read_leniently() -> None:
    assert (
        Message.from_json({})
        == Message.from_json({"text": None, "data": None, "attachments": None})
        == Message()
    )
    stored = {"attachments": [{"id": "1", "type": "image", "preSignedUrl": "u", "fileName": "n"}]}
    assert Message.from_json(stored).attachments == (Attachment("1", "image", "n", "u"),)


def test_what_a_bot_does_to_a_message_stays_its_own() -> None:
    stored = {"data": {"list": [1]}}
    Message.from_json(stored).data["list"].append(2)
    assert stored == {"data": {"list": [1]}}


def test_a_handover_has_at_most_thirty_properties_and_storable_texts() -> None:
    async def bot(chat: Chat) -> None:
        many = {f"p{number}": 1 for number in range(31)}
        await chat.handover(properties=many) if chat.message.text == "many" else await chat.handover(
            summary="a\0"
        )

    with pytest.raises(BotError, match="30 properties"):
        converse(bot, session={}).says("many")
    with pytest.raises(BotError, match="NUL"):
        converse(bot).says("hi")
