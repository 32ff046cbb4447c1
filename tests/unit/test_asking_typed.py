"""chat.ask takes all that chat.say takes, for the question as for its retry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.bot import BotError, Buttons, Card, Chat, Gallery, Markdown, Message, Postback, Tile
from app.conversation.content import TEXT_LIMIT, output
from app.testing import Reply, converse

CARD = {"type": "AdaptiveCard", "version": "1.3", "body": [{"type": "TextBlock", "text": "Your size?"}]}
SORRY = "Sorry, I did not understand that."


def typed(reply: Reply) -> Mapping[str, Any]:
    assert reply.content is not None
    return reply.content


def size(text: str) -> str:
    if text not in ("Small", "Large"):
        raise ValueError
    return text.lower()


async def buttons(chat: Chat) -> None:
    sizes = [Postback("Small", "s"), Postback("Large", "l")]
    answer = await chat.ask(Buttons("Which size?", sizes), parse=size, retry=Buttons("One of these:", sizes))
    await chat.say(f"{answer}, {chat.message.payload}")


def test_buttons_are_asked_and_asked_again_and_a_click_answers() -> None:
    talk = converse(buttons)
    [question] = talk.says("hi")
    assert (typed(question)["type"], question.quick_replies) == ("buttons", ("Small", "Large"))
    [again] = talk.says("a big one")
    assert (typed(again)["type"], again.text) == ("buttons", "One of these:")
    assert talk.clicks("Large")[0].text == "large, l"


def test_typed_content_without_a_retry_comes_again_with_an_apology() -> None:
    async def bot(chat: Chat) -> None:
        await chat.ask(Gallery([Tile("Small")], "Which size?"), parse=size)

    talk = converse(bot)
    [question] = talk.says("hi")
    [again] = talk.says("x")
    assert again.text == f"{SORRY} Which size?"
    assert {**typed(again), "text": None} == {**typed(question), "text": None}


def test_a_card_is_asked_with_and_without_a_text_and_its_data_is_in_the_message() -> None:
    async def bot(chat: Chat) -> None:
        assert await chat.ask(Card(CARD)) == ""
        await chat.say(chat.message.data["size"])
        await chat.ask("Again?", card=CARD, quick_replies=["No"], parse=size)

    talk = converse(bot)
    assert talk.says("hi")[0].card == CARD
    done, question = talk.submits({"size": "L"})
    assert (done.text, question.text, question.card, question.quick_replies) == ("L", "Again?", CARD, ("No",))
    assert talk.says("?")[0].card == CARD


def test_a_raw_message_is_asked_and_repeated_as_it_is() -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(await chat.ask(raw={"text": "Size?", "cards": []}, parse=size))

    talk = converse(bot)
    first = talk.says("hi")[0].raw
    assert talk.says("x")[0].raw == first == {"text": "Size?", "cards": []}
    assert talk.sends(Message(text="Small"))[0].text == "small"


def test_a_retry_keeps_the_quick_replies_even_when_they_were_given_once() -> None:
    async def bot(chat: Chat) -> None:
        choices = (each for each in ("Small", "Large"))
        await chat.ask("Size?", quick_replies=choices, parse=size, retry=Markdown("**Size**, please"))

    talk = converse(bot)
    talk.says("hi")
    [again] = talk.says("x")
    assert (again.text, again.quick_replies) == ("Size, please", ("Small", "Large"))


def test_an_apology_spoils_no_heading_and_makes_no_text_too_long() -> None:
    async def bot(chat: Chat) -> None:
        await chat.ask(Markdown("# Size?"), parse=size, attempts=2, retry=None)

    talk = converse(bot)
    talk.says("hi")
    assert talk.says("x")[0].text == f"{SORRY}\n\nSize?"

    async def long(chat: Chat) -> None:
        await chat.ask("x" * TEXT_LIMIT, parse=size)

    talk = converse(long)
    talk.says("hi")
    assert talk.says("?")[0].text == "x" * TEXT_LIMIT


def test_a_card_that_says_nothing_is_asked_again_with_the_apology_alone() -> None:
    async def bot(chat: Chat) -> None:
        await chat.ask(Card(CARD), parse=size)

    talk = converse(bot)
    talk.says("hi")
    [again] = talk.submits({})
    assert (again.text, again.card) == (SORRY, CARD)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "nothing to say"),
        ({"text": "a", "raw": {"text": "b"}}, "stands alone"),
        ({"text": Buttons("a", [Postback("b")]), "card": CARD}, "no card"),
        ({"text": "a", "retry": ""}, "is empty"),
        ({"text": "a", "retry": Card({**CARD, "version": "1.6"})}, "adaptive_card_version is 1.3"),
        ({"text": Card({**CARD, "version": "1.6"})}, "adaptive_card_version is 1.3"),
    ],
)
def test_what_can_not_be_said_can_not_be_asked(arguments: dict[str, Any], part: str) -> None:
    async def bot(chat: Chat) -> None:
        await chat.ask(**arguments)

    with pytest.raises(BotError, match=part):
        converse(bot).says("hi")


def test_a_question_is_kept_as_it_would_be_said() -> None:
    content = Buttons("Which?", [Postback("A")])

    async def bot(chat: Chat) -> None:
        await chat.ask(content)

    assert converse(bot).says("hi")[0].content == output(content, None, None, None)
