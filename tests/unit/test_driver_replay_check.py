"""Whether a stored journal fits a bot as it is now."""

from __future__ import annotations

import pytest

from app.bot import Chat
from app.conversation.driver import DialogStart
from app.conversation.needs import Diverged, Failed
from app.conversation.replay_check import Fits, check
from tests.unit.driving import START, said, step, user

BEGAN = DialogStart("d", 1, START)
WAITING = [user("hi"), said("One?")]
OVER = [*WAITING, user("a"), said("thanks")]


async def same(chat: Chat) -> None:
    await chat.ask("One, in other words?")
    await chat.say("thank you")


async def longer(chat: Chat) -> None:
    await chat.ask("One?")
    await chat.ask("Two?")


async def chattier(chat: Chat) -> None:
    await chat.say("One")
    await chat.say("more")
    await chat.receive()


async def shorter(chat: Chat) -> None:
    await chat.say("One")


async def failing(chat: Chat) -> None:
    await chat.say("One")
    raise ValueError


async def stepping(chat: Chat) -> None:
    await chat.step(pytest.fail, "a check runs no steps", name="fail")


def test_a_bot_that_does_the_same_fits_whatever_the_wording() -> None:
    assert check(same, BEGAN, WAITING, status="waiting") == Fits()
    assert check(same, BEGAN, OVER, status="completed") == Fits()


def test_what_would_diverge_at_the_next_input_is_found_now() -> None:
    assert check(chattier, BEGAN, WAITING, status="waiting") == Diverged(
        "the bot wants output where the journal ends, waiting for the user", 2
    )
    assert check(shorter, BEGAN, WAITING, status="waiting") == Diverged(
        "the bot ends where the journal ends, waiting for the user", 2
    )
    assert check(longer, BEGAN, OVER, status="completed") == Diverged(
        "the bot waits where the journal ends, with the dialog over", 4
    )


def test_a_bot_that_fails_now_is_told() -> None:
    found = check(failing, BEGAN, WAITING, status="waiting")
    assert isinstance(found, Failed)
    assert check(failing, BEGAN, WAITING, status="failed") == Fits()


def test_a_dialog_cut_in_a_turn_may_go_on_but_runs_no_step() -> None:
    assert check(stepping, BEGAN, [user("hi"), step("fail", 1)]) == Fits()
    assert check(chattier, BEGAN, WAITING) == Fits()
