"""The driver: failures, and what a bot keeps."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.bot import Chat
from app.conversation.needs import Finished, Receive
from tests.unit.driving import START, driver, entry, failed, result, run, said, step, texts, user

# failing


def double(number: int) -> int:
    return number * 2


async def raising(chat: Chat) -> None:
    await _deeper(chat)


async def _deeper(chat: Chat) -> None:
    await chat.say("x")
    raise ValueError("with a user's text")


def test_a_failure_tells_type_and_line_but_not_the_message() -> None:
    need = failed(run(raising))
    assert isinstance(need.error, ValueError)
    line = _deeper.__code__.co_firstlineno + 2
    assert need.summary == f"ValueError at {need.where}"
    assert need.where == f"tests/unit/test_driver_state.py:{line}"


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, GeneratorExit, RecursionError])
def test_whatever_a_bot_raises_ends_the_dialog_and_not_the_worker(error: type[BaseException]) -> None:
    async def bot(chat: Chat) -> None:
        raise error

    assert isinstance(failed(run(bot)).error, error)


def test_an_interrupt_by_the_operator_goes_through() -> None:
    async def bot(chat: Chat) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(bot)


def test_a_bot_that_is_no_async_function_fails() -> None:
    def plain(chat: Chat) -> int:
        return 1

    async def generator(chat: Chat) -> AsyncIterator[int]:
        yield 1

    async def no_parameter() -> None: ...

    assert "an async function" in str(failed(run(plain)).error)
    assert "an async function" in str(failed(run(generator)).error)
    assert isinstance(failed(run(no_parameter)).error, TypeError)  # type: ignore[arg-type]


def test_a_bot_that_talks_without_end_is_stopped_even_if_it_catches_errors() -> None:
    async def bot(chat: Chat) -> None:
        while True:
            with contextlib.suppress(Exception):
                await chat.say("x")

    driven = driver(bot)
    assert "more than 50" in str(failed(driven.run()).error)
    assert len(driven.drain()) == 50


def test_each_turn_may_say_fifty_things_counted_across_a_crash() -> None:
    async def bot(chat: Chat) -> None:
        for _ in range(2):
            for _ in range(50):
                await chat.say("x")
            await chat.receive()
        await chat.step(double, 1)
        for _ in range(51):
            await chat.say("x")

    first = [user("hi"), *[said("x")] * 50]
    assert isinstance(run(bot, first), Receive)
    second = [*first, user("a"), *[said("x")] * 30]
    driven = driver(bot, second)
    assert isinstance(driven.run(), Receive)
    assert len(driven.drain()) == 20
    third = [*driven.entries, user("b"), step("double", 103), result(103, value=2), *[said("x")] * 45]
    assert "more than 50" in str(failed(run(bot, third)).error)


def test_a_dialog_has_a_length_it_can_not_exceed() -> None:
    async def bot(chat: Chat) -> None:
        while True:
            await chat.receive()

    assert isinstance(run(bot, [user("x")] * 9, max_entries=10), Receive)
    assert "more than 10 entries" in str(failed(run(bot, [user("x")] * 10, max_entries=10)).error)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_chat_call_that_is_not_awaited_is_an_error_and_not_silence() -> None:
    async def bot(chat: Chat) -> None:
        chat.say("lost")  # type: ignore[unused-coroutine]
        await chat.receive()

    assert "not awaited" in str(failed(run(bot)).error)
    gc.collect()


# session, contact, time, random


def test_session_starts_as_it_was_and_is_told_when_the_bot_waits() -> None:
    async def bot(chat: Chat) -> None:
        chat.session["count"] = chat.session.get("count", 0) + 1
        chat.session["list"] = kept = [1]
        await chat.receive()
        kept.append(2)

    session = {"count": 4}
    driven = driver(bot, session=session)
    driven.run()
    assert driven.session == {"count": 5, "list": [1]}
    driven.feed(user("x"))
    driven.run()
    assert driven.session == {"count": 5, "list": [1, 2]}
    assert session == {"count": 4}


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (Decimal(1), "chat.session['cart']['total'] holds a Decimal"),
        ((1, 2), "holds a tuple"),
        (float("nan"), "NaN"),
        ("a\0b", "NUL"),
        ("\ud800", "surrogate"),
        ({1: 2}, "a key that is not a str"),
        ({"\0": 2}, "a key with a NUL"),
        pytest.param(10**5000, "digits", id="long"),
    ],
)
def test_a_session_that_can_not_be_kept_is_a_clear_error(value: Any, part: str) -> None:
    async def bot(chat: Chat) -> None:
        chat.session["cart"] = {"total": value}
        await chat.receive()

    need = failed(run(bot))
    assert part in str(need.error)
    assert need.where.endswith(f":{bot.__code__.co_firstlineno + 2}")


def test_after_a_failure_what_can_be_kept_of_the_session_is_kept() -> None:
    async def bot(chat: Chat) -> None:
        chat.session.update(good=1, bad=object())
        raise ValueError

    driven = driver(bot, session={"old": 1})
    failed(driven.run())
    assert driven.session == {"good": 1, "old": 1}


def test_a_session_that_contains_itself_is_refused() -> None:
    async def bot(chat: Chat) -> None:
        chat.session["me"] = chat.session

    assert "contains itself" in str(failed(run(bot)).error)


def test_changes_from_outside_come_with_an_input() -> None:
    async def bot(chat: Chat) -> None:
        session = chat.session
        await chat.say(f"{chat.contact.get('name')} {session.get('n')}")
        await chat.receive()
        await chat.say(f"{chat.contact.get('name')} {session.get('n')}")

    driven = driver(
        bot,
        [user("hi"), said(""), user("x", contact={"name": "Grace"}, session={"n": 2})],
        contact={"name": "Ada"},
        session={"n": 1},
    )
    assert driven.run() == Finished()
    assert texts(driven) == ["Grace 2"]


def test_the_contact_can_not_be_changed() -> None:
    async def bot(chat: Chat) -> None:
        chat.contact["name"] = "x"  # type: ignore[index]

    assert isinstance(failed(run(bot)).error, TypeError)


def test_time_and_random_numbers_are_the_same_in_every_replay() -> None:
    seen: list[Any] = []

    async def bot(chat: Chat) -> None:
        seen.append((chat.now(), chat.random.random()))
        await chat.receive()
        seen.append((chat.now(), chat.random.random()))

    entries = [user("hi"), entry("input", {"message": {"text": "x"}}, after=90)]
    run(bot, entries)
    run(bot, entries)
    assert seen[:2] == seen[2:]
    assert [moment for moment, _ in seen[:2]] == [START, START + timedelta(seconds=90)]
    assert seen[0][1] != seen[1][1]
