"""The same crashes where something is wrong already: 8x8 fails, inputs wait, bots change, users cancel."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat, call
from app.gateway.outcome import InDoubt, Retry, Sent
from tests.integration.crashing import settled, worked
from tests.integration.scene import Scene
from tests.integration.test_commit_points import check_every_point, goes_over, look_up, post, talks
from tests.integration.test_handovers import QUEUED

pytestmark = pytest.mark.timeout(300)

LOST = InDoubt(None, "ReadTimeout")


async def counts(chat: Chat) -> None:
    for word in ("one", "two", "three"):
        await chat.say(word)


async def asks(chat: Chat) -> None:
    await chat.say("Which word?")
    word = await chat.receive()
    await chat.say(f"{word.text}.")


async def asks_otherwise(chat: Chat) -> None:
    found = await chat.step(look_up, chat.message.text)
    await chat.say(f"{found}!")


async def two_steps(chat: Chat) -> None:
    both = await chat.steps(call(look_up, "a"), call(look_up, "b"))
    await chat.say(f"{both[0]}{both[1]}")


async def refused_for_a_while(play: Scene) -> None:
    """429 for the first, 500 for the second, and another 429."""
    play.gateway.answers = [
        Retry(4.0, 429, "HTTP 429"),
        Sent(202),
        InDoubt(500, "HTTP 500"),
        Retry(None, 429, "HTTP 429"),
    ]
    await play.says("hi")
    await settled(play)


async def answers_lost(play: Scene) -> None:
    """One arrived and its answer is lost, one did not arrive."""
    play.gateway.answers = [(LOST, True), LOST]
    await play.says("hi")
    await settled(play)


async def an_echo_comes_in_between(play: Scene) -> None:
    """An answer is lost, and the echo comes before anybody looks."""
    play.gateway.answers = [(LOST, True)]
    await play.says("hi")
    for _ in range(3):  # the crash, and the next worker's claim
        if await worked(play):
            break
    await play.echo("one")
    await settled(play)


async def three_at_once(play: Scene) -> None:
    """Inputs wait for the bot, and for each other."""
    for word in ("hi", "first", "second"):
        await play.says(word)
    await settled(play)


async def a_changed_bot(play: Scene) -> None:
    """The bot is replaced by one that does not fit its journal."""
    await play.says("hi")
    await settled(play)
    play.bots["tests.bots:bot"] = asks_otherwise
    await play.says("word")
    await settled(play)


async def a_cancelled_handover(play: Scene) -> None:
    """The user has waited long enough."""
    await play.says("hi")
    await settled(play)
    await post(play, QUEUED)
    await settled(play)
    await play.says("Stop waiting")
    await settled(play)


async def only_hi(play: Scene) -> None:
    """One input."""
    await play.says("hi")
    await settled(play)


async def test_retries(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, counts, refused_for_a_while) >= 8


async def test_answers_that_are_lost(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, counts, answers_lost) >= 8


async def test_an_echo_that_ends_a_doubt(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, counts, an_echo_comes_in_between) >= 5


async def test_inputs_that_wait(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, talks, three_at_once) >= 8


async def test_steps_side_by_side(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, two_steps, only_hi) >= 4


async def test_a_bot_that_was_changed(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, asks, a_changed_bot, incidents=1) >= 6


async def test_a_handover_that_is_cancelled(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, goes_over, a_cancelled_handover) >= 8
