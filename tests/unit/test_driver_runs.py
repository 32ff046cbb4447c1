"""The driver: how a dialog goes on, waits and ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from app.bot import Chat
from app.conversation.journal import Entry
from app.conversation.needs import Diverged, Finished, Receive
from tests.unit.driving import START, diverged, driver, entry, result, run, said, step, texts, user

# going on


async def two_questions(chat: Chat) -> None:
    first = await chat.ask("One?")
    second = await chat.ask("Two?")
    await chat.say(f"{first} {second}")


def test_a_dialog_waits_for_its_first_message_and_ends_with_the_function() -> None:
    driven = driver(two_questions, [])
    assert driven.run() == Receive(0, None, START)
    for text in ("hi", "a"):
        driven.feed(user(text))
        assert isinstance(driven.run(), Receive)
    driven.feed(user("b"))
    assert driven.run() == Finished()
    assert texts(driven) == ["One?", "Two?", "a b"]
    assert driven.run() == Finished()
    assert driven.drain() == []


def test_new_entries_come_with_their_positions_once() -> None:
    driven = driver(two_questions, [user("hi"), said("One?"), user("a")])
    driven.run()
    assert [(position, each.content["text"]) for position, each in driven.drain()] == [(3, "Two?")]
    assert driven.drain() == []


def test_running_again_with_nothing_fed_needs_the_same() -> None:
    driven = driver(two_questions)
    assert driven.run() == driven.run() == Receive(2, None, START)


def test_only_what_happens_to_a_bot_can_be_fed() -> None:
    with pytest.raises(ValueError, match="output"):
        driver(two_questions).feed(said("x"))


def test_a_closed_driver_does_not_run() -> None:
    driven = driver(two_questions)
    driven.run()
    driven.close()
    driven.close()
    with pytest.raises(RuntimeError, match="closed"):
        driven.run()


def test_notes_are_skipped_and_keep_their_place() -> None:
    entries = [user("hi"), entry("note"), said("One?"), entry("note"), user("a"), entry("note")]
    driven = driver(two_questions, entries)
    assert isinstance(driven.run(), Receive)
    assert [position for position, _ in driven.drain()] == [6]


def test_thousand_entries_replay_in_a_few_milliseconds() -> None:
    async def talk(chat: Chat) -> None:
        while True:
            await chat.say((await chat.receive()).text)

    entries = [user("hi"), *[user("m"), said("m")] * 500]
    best = min(_seconds(talk, entries) for _ in range(5))
    assert best < 0.05, f"{best * 1000:.1f} ms"


def _seconds(bot: Callable[[Chat], Any], entries: Sequence[Entry]) -> float:
    began = time.perf_counter()
    assert isinstance(run(bot, entries), Receive)
    return time.perf_counter() - began


# timeouts


async def impatient(chat: Chat) -> None:
    try:
        await chat.say((await chat.receive(timeout=timedelta(minutes=1))).text)
    except TimeoutError:
        await chat.say("late")


def test_a_timeout_is_told_with_the_time_it_runs_from() -> None:
    need = run(impatient, [entry("input", {"message": {"text": "hi"}}, after=5)])
    assert need == Receive(1, 60.0, START + timedelta(seconds=5))


@pytest.mark.parametrize(("fed", "text"), [(user("here"), "here"), (entry("timeout"), "late")])
def test_receive_gives_the_message_or_raises_timeout_error(fed: Entry, text: str) -> None:
    driven = driver(impatient, [user("hi"), fed])
    assert driven.run() == Finished()
    assert texts(driven) == [text]


def test_a_timeout_where_the_bot_sets_none_is_a_divergence() -> None:
    need = diverged(run(two_questions, [user("hi"), said("One?"), entry("timeout")]))
    assert (need.position, need.reason) == (2, "the bot wants input where the journal has timeout")


# diverging


def waited(*more: Entry) -> list[Entry]:
    return [user("hi"), said("wait"), *more]


@pytest.mark.parametrize(
    ("entries", "position", "wants", "has"),
    [
        ([said("hi")], 0, "input", "output"),
        ([user("hi"), user("a")], 1, "output", "input"),
        (waited(step("other", 2)), 2, "step double", "step other"),
        (waited(step("double", 2), user("a")), 3, "the result of a step", "input"),
        (waited(step("double", 2), result(1, value=1)), 3, "the result of a step", "result"),
    ],
)
def test_a_journal_that_no_longer_fits_is_a_divergence(
    entries: list[Entry], position: int, wants: str, has: str
) -> None:
    reason = f"the bot wants {wants} where the journal has {has}"
    assert diverged(run(stepping, entries)) == Diverged(reason, position)


def test_a_bot_that_ends_before_its_journal_has_diverged() -> None:
    entries = waited(step("double", 2), result(2, value=1), said("1"), user("more"))
    assert run(stepping, entries) == Diverged("the bot ends where the journal has input", 5)


async def stepping(chat: Chat) -> None:
    await chat.say("wait")
    await chat.say(str(await chat.step(abs, 3, name="double")))


async def raising(chat: Chat) -> None:
    await chat.say("x")
    raise ValueError


def test_a_bot_that_raises_before_its_journal_ends_has_diverged() -> None:
    need = diverged(run(raising, [user("hi"), said("x"), user("a")]))
    assert need.position == 2
    assert need.reason.startswith("the bot raises ValueError at ")
    assert need.reason.endswith("where the journal has input")


def test_a_corrected_wording_is_no_divergence() -> None:
    assert isinstance(run(two_questions, [user("hi"), said("Won?"), user("a")]), Receive)


def test_strictly_compared_a_changed_wording_is_found() -> None:
    need = diverged(run(two_questions, [user("hi"), said("Won?")], strict=True))
    assert need.position == 1
    assert "Won" not in need.reason
