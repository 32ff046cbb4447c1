"""app.testing: bots that replay pass, bots that don't are told why."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.bot import Chat, Message, StepFailed
from app.testing import NotReplayable, converse

counter = itertools.count()


def price(name: str) -> Decimal:
    if name == "gold":
        raise LookupError(name)
    return Decimal("1.50")


async def stock(name: str) -> int:
    return len(name)


async def shop(chat: Chat) -> None:
    try:
        cost, left = await chat.step(price, chat.message.text), await chat.step(stock, chat.message.text)
    except StepFailed as error:
        await chat.say(f"{error.error_type}: {error.error}")
        return
    await chat.say(f"{cost} {left}", quick_replies=["Buy", "Leave"])
    chat.session["seen"] = [*chat.session.get("seen", []), chat.message.text]
    await chat.receive()


def test_steps_really_run_and_their_results_are_what_a_replay_gets() -> None:
    assert converse(shop).says("apple")[0].text == "1.50 5"


def test_a_failing_step_is_tried_again_and_then_raised() -> None:
    assert converse(shop).says("gold")[0].text == "LookupError: gold"


def test_steps_can_be_replaced_by_name() -> None:
    talk = converse(shop, steps={"price": lambda name: 9, "stock": lambda name: 0})
    assert talk.says("gold")[0].text == "9 0"


async def test_a_bot_can_be_tried_from_an_async_test_too() -> None:
    assert converse(shop).says("apple")[0].text == "1.50 5"


def test_only_offered_quick_replies_can_be_clicked() -> None:
    talk = converse(shop)
    talk.says("apple")
    with pytest.raises(AssertionError, match=r"no quick reply 'Sell'; offered: \['Buy', 'Leave'\]"):
        talk.clicks("Sell")
    assert talk.clicks("Buy") == []
    assert talk.finished


def test_the_session_lasts_from_dialog_to_dialog() -> None:
    talk = converse(shop, session={"seen": ["pear"]})
    talk.says("apple")
    assert talk.session == {"seen": ["pear", "apple"]}
    talk.says("bye")
    talk.says("plum")
    assert talk.session == {"seen": ["pear", "apple", "plum"]}


def test_time_passes_only_when_the_user_waits() -> None:
    async def bot(chat: Chat) -> None:
        for _ in range(2):
            try:
                await chat.receive(timeout=60)
            except TimeoutError:
                await chat.say(f"{chat.now():%H:%M:%S}")
        await chat.receive()

    talk = converse(bot, now=datetime(2026, 5, 1, 8, tzinfo=UTC))
    talk.says("hi")
    assert talk.timeout == 60
    assert talk.waits(59) == []
    assert [reply.text for reply in talk.waits(100)] == ["08:01:00", "08:02:00"]
    assert talk.waiting
    assert talk.timeout is None


def test_a_handover_is_played_by_the_test() -> None:
    async def bot(chat: Chat) -> None:
        outcome = await chat.handover("7")
        await chat.say(f"{outcome.status} {outcome.reason} {len(outcome.messages)}")

    talk = converse(bot)
    with pytest.raises(AssertionError, match="no handover"):
        talk.handed_over()
    talk.says("help")
    assert talk.handover is not None and talk.handover["queue"] == "7"
    with pytest.raises(AssertionError, match="human has the conversation"):
        talk.says("hello?")
    assert talk.handed_over("failed", reason="closed", messages=[Message("a")])[0].text == "failed closed 1"
    assert talk.handover is None


def test_cards_and_contact_changes_reach_the_bot() -> None:
    async def bot(chat: Chat) -> None:
        await chat.say("?", card={"type": "AdaptiveCard", "version": "1.3"})
        message = await chat.receive()
        await chat.say(f"{message.kind} {message.data['stars']} {chat.contact['name']}")

    talk = converse(bot, contact={"name": "Ada"})
    assert talk.says("hi")[0].card == {"type": "AdaptiveCard", "version": "1.3"}
    talk.contact_changes({"name": "Grace"})
    assert talk.submits({"stars": 5})[0].text == "card 5 Grace"


def test_the_bots_own_exception_reaches_the_test_and_the_next_message_starts_again() -> None:
    async def bot(chat: Chat) -> None:
        if chat.message.text == "bad":
            raise KeyError("k")
        await chat.say("fine")

    talk = converse(bot)
    with pytest.raises(KeyError, match="k"):
        talk.says("bad")
    assert talk.says("good")[0].text == "fine"


async def tells_time(chat: Chat) -> None:
    await chat.say(str(time.perf_counter_ns()))
    await chat.receive()


async def rolls_dice(chat: Chat) -> None:
    if random.random() < 2:
        await chat.say(f"{random.random()}")
    await chat.receive()


async def counts_globally(chat: Chat) -> None:
    if next(counter) % 2:
        await chat.say("odd")
    await chat.receive()


async def waits_as_long_as_it_likes(chat: Chat) -> None:
    await chat.receive(timeout=next(counter))


async def remembers_elsewhere(chat: Chat) -> None:
    chat.session["n"] = next(counter)
    await chat.receive()


async def steps_with_a_number(chat: Chat) -> None:
    await chat.step(abs, next(counter))


@pytest.mark.parametrize(
    "bot",
    [
        tells_time,
        rolls_dice,
        counts_globally,
        waits_as_long_as_it_likes,
        remembers_elsewhere,
        steps_with_a_number,
    ],
)
def test_a_bot_that_does_something_else_when_replayed_is_told_so(bot: Callable[[Chat], Any]) -> None:
    with pytest.raises(NotReplayable, match=r"chat\.now\(\).*chat\.step"):
        talk = converse(bot)
        talk.says("hi")
        talk.says("more")
