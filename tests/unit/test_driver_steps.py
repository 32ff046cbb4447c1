"""The driver: steps and handovers, live and replayed."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from app.bot import Chat, StepFailed, StepInterrupted, call
from app.conversation.needs import Finished, Handover, RunSteps
from tests.unit.driving import driver, entry, failed, result, run, step, texts, user

# steps


def double(number: int) -> int:
    return number * 2


async def stepping(chat: Chat) -> None:
    await chat.say("wait")
    try:
        await chat.say(str(await chat.step(double, 3, retry=chat.message.text != "once")))
    except StepFailed as error:
        await chat.say(f"{error.step} {error.error_type} {error.error}")
    except StepInterrupted as error:
        await chat.say(f"{error.step} interrupted")


def test_a_step_is_asked_for_with_a_key_that_lasts() -> None:
    driven = driver(stepping)
    need = driven.run()
    assert isinstance(need, RunSteps)
    [asked] = need.calls
    assert (asked.position, asked.key, asked.name, asked.args, asked.begun) == (
        2,
        "d:2",
        "double",
        (3,),
        False,
    )
    assert [each.kind for _, each in driven.drain()] == ["output", "step"]
    again = run(stepping, driven.entries)
    assert isinstance(again, RunSteps)
    assert again.calls[0].key == asked.key
    assert again.calls[0].begun, "it may have run before the crash"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"value": 6}, "6"),
        ({"error": {"type": "ValueError", "message": "no"}}, "double ValueError no"),
        ({"interrupted": True}, "double interrupted"),
    ],
)
def test_a_step_comes_out_the_same_live_and_replayed(content: dict[str, Any], text: str) -> None:
    live = driver(stepping)
    live.run()
    live.feed(result(2, **content))
    assert live.run() == Finished()
    assert texts(live) == ["wait", text]
    replayed = driver(stepping, live.entries, strict=True)
    assert replayed.run() == Finished()


def test_the_error_of_a_step_does_not_tell_what_it_was_about() -> None:
    assert "secret" not in str(StepFailed("find", "KeyError", "secret"))


async def several(chat: Chat) -> None:
    results = await chat.steps(partial(double, 1), call(double, 2, name="twice", retry=False), lambda: 3)
    await chat.say(str(results))


def test_several_steps_are_asked_for_at_once_and_keep_their_order() -> None:
    driven = driver(several)
    need = driven.run()
    assert isinstance(need, RunSteps)
    assert [(each.position, each.name, each.retry) for each in need.calls] == [
        (1, "double", True),
        (2, "twice", False),
        (3, "<lambda>", True),
    ]
    assert [each.content["group"] for _, each in driven.drain()] == [1, 1, 1]
    driven.feed(result(3, value="c"))
    left = driven.run()
    assert isinstance(left, RunSteps)
    assert [each.position for each in left.calls] == [1, 2]
    for each in (result(1, value="a"), result(2, value="b")):
        driven.feed(each)
    assert driven.run() == Finished()
    assert texts(driven) == ["['a', 'b', 'c']"]


def test_the_first_failure_of_several_steps_is_raised_when_all_are_done() -> None:
    async def bot(chat: Chat) -> None:
        with contextlib.suppress(StepFailed):
            await chat.steps(partial(double, 1), partial(double, 2))
        await chat.say("on")

    failure = {"error": {"type": "E", "message": ""}}
    driven = driver(bot, [user("hi"), step("double", 1), step("double", 2), result(1, **failure)])
    assert isinstance(driven.run(), RunSteps)
    driven.feed(result(2, **failure))
    assert driven.run() == Finished()
    assert texts(driven) == ["on"]


def test_arguments_and_results_go_through_json() -> None:
    got: list[Any] = []

    async def bot(chat: Chat) -> None:
        arguments = {"price": Decimal("1.50"), "list": [1]}
        value = await chat.step(print, arguments)
        value["list"].append(2)
        got.append(value)

    entries = [user("hi"), step("print", 1)]
    need = run(bot, entries)
    assert isinstance(need, RunSteps)
    assert need.calls[0].args == ({"list": [1], "price": "1.50"},)
    stored = {"b": 1e16, "list": [1], "a": -0.0}
    assert run(bot, [*entries, result(1, value=stored)]) == Finished()
    assert stored == {"b": 1e16, "list": [1], "a": -0.0}, "what a bot does to a result stays its own"
    assert list(got[-1]) == ["a", "b", "list"]
    assert (str(got[-1]["a"]), str(got[-1]["b"])) == ("0.0", "10000000000000000")


def test_what_json_can_not_hold_is_refused_as_an_argument() -> None:
    async def bot(chat: Chat) -> None:
        await chat.step(double, object())

    assert (
        str(failed(run(bot)).error) == "argument 1 of step double holds a object, which JSON can't express."
    )


# handover


async def handing_over(chat: Chat) -> None:
    outcome = await chat.handover("101", message="One moment", properties={"total": Decimal("2")}, timeout=60)
    await chat.say(f"{outcome.status} {outcome.agent_ids} {outcome.messages[0].author}")


def test_a_handover_is_asked_for_and_gives_its_outcome() -> None:
    driven = driver(handing_over)
    need = driven.run()
    assert isinstance(need, Handover)
    assert (need.position, need.begun) == (1, False)
    assert need.params == {
        "queue": "101",
        "message": "One moment",
        "cancel_text": None,
        "summary": None,
        "properties": {"total": "2"},
        "timeout": 60.0,
        "wants": [],
    }
    again = run(handing_over, driven.entries)
    assert isinstance(again, Handover) and again.begun
    messages = [{"text": "hello", "author": "agent"}]
    driven.feed(entry("outcome", {"status": "completed", "agent_ids": ["a1"], "messages": messages}))
    assert driven.run() == Finished()
    assert texts(driven) == ["completed ('a1',) agent"]
