"""Sessions, timers, failures and divergences over a real database."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import BotError, Chat, StepFailed
from app.conversation.driver import Bot
from app.conversation.timeline import timeline
from tests.integration.scene import Scene, scene


async def waits(chat: Chat) -> None:
    await chat.say("Still there?")
    try:
        await chat.receive(timeout=60)
        await chat.say("Good.")
    except TimeoutError:
        await chat.say("Bye.")


async def test_a_timer_fires_when_nobody_answers(engine: AsyncEngine) -> None:
    play = scene(engine, waits)
    await play.says("hi")
    await play.work()
    await play.later(30)
    assert play.gateway.texts == ["Still there?"]
    await play.later(31)
    assert play.gateway.texts == ["Still there?", "Bye."]


async def test_an_input_that_arrived_before_the_timer_was_due_wins(engine: AsyncEngine) -> None:
    play = scene(engine, waits)
    await play.says("hi")
    await play.work()
    await play.says("yes", received=play.clock() + timedelta(seconds=50))
    await play.later(300)
    assert play.gateway.texts == ["Still there?", "Good."]


async def test_a_cancelled_timer_stands_in_the_story_where_it_was_cancelled(engine: AsyncEngine) -> None:
    play = scene(engine, waits)
    await play.says("hi")
    await play.work()
    await play.says("yes")
    await play.work()
    story = await timeline(engine, 1)
    [timer] = [each for each in story if each.kind == "timer"]
    assert timer.summary == "receive cancelled"
    assert timer.at <= play.clock()


async def test_an_input_that_came_too_late_starts_anew_after_the_timeout(engine: AsyncEngine) -> None:
    play = scene(engine, waits)
    await play.says("hi")
    await play.work()
    await play.says("yes", received=play.clock() + timedelta(seconds=70))
    await play.later(300)
    assert play.gateway.texts == ["Still there?", "Bye.", "Still there?"]


async def counts(chat: Chat) -> None:
    chat.session["n"] = chat.session.get("n", 0) + 1
    await chat.say(f"{chat.session['n']}")
    await chat.receive()
    chat.session["n"] += 10
    await chat.say(f"{chat.session['n']}")


async def test_session_data_counts_once_however_often_it_is_replayed(engine: AsyncEngine) -> None:
    play = scene(engine, counts)
    for word in "abcd":
        await play.says(word)
        await play.work()
    assert play.gateway.texts == ["1", "11", "12", "22"]


async def test_silence_ends_a_session_with_its_dialog(engine: AsyncEngine) -> None:
    play = scene(engine, counts)
    await play.says("a")
    await play.work()
    await play.says("b", received=play.clock() + timedelta(minutes=31))
    await play.work()
    assert play.gateway.texts == ["1", "1"]
    rows = await play.rows("SELECT number, end_reason FROM session ORDER BY number")
    assert [tuple(row) for row in rows] == [(1, "expired"), (2, None)]
    assert await play.value("SELECT status FROM dialog ORDER BY id LIMIT 1") == "closed"


async def test_a_backlog_of_31_minutes_expires_no_session(engine: AsyncEngine) -> None:
    play = scene(engine, counts)
    await play.says("a")
    await play.says("b")
    await play.later(31 * 60)
    assert play.gateway.texts == ["1", "11"]


async def price() -> dict[str, Decimal]:
    return {"price": Decimal("12.50")}


async def breaks() -> None:
    raise KeyError("secret text of a user")


async def uses_steps(chat: Chat) -> None:
    found = await chat.step(price)
    await chat.say(repr(found))
    try:
        await chat.step(breaks, retries=0)
    except StepFailed as error:
        await chat.say(f"{error.error_type}")
    await chat.receive()
    await chat.say(repr(found))


async def test_a_steps_result_is_the_same_live_and_replayed(engine: AsyncEngine) -> None:
    play = scene(engine, uses_steps)
    await play.says("hi")
    await play.work()
    await play.says("again")
    await play.work()
    assert play.gateway.texts == ["{'price': '12.50'}", "KeyError", "{'price': '12.50'}"]


async def raises(chat: Chat) -> None:
    await chat.say("first")
    raise RuntimeError("with a user's secret in it")


async def test_a_bot_that_raises_is_never_silent(engine: AsyncEngine) -> None:
    play = scene(engine, raises, on_error={"message": "Sorry!"})
    await play.says("hi")
    await play.work()
    assert play.gateway.texts == ["first", "Sorry!"]
    row = (await play.rows("SELECT kind, detail::text FROM incident"))[0]
    assert row[0] == "bot_failed" and "secret" not in row[1]
    assert "secret" not in await play.value("SELECT error FROM dialog")


async def sleeps(chat: Chat) -> None:
    await asyncio.sleep(1)


async def forgets_await(chat: Chat) -> None:
    _ = chat.say("hello")


async def says_nul(chat: Chat) -> None:
    await chat.say("a\0b")


async def says_too_much(chat: Chat) -> None:
    for _ in range(51):
        await chat.say("again")


async def keeps_nan(chat: Chat) -> None:
    chat.session["price"] = float("nan")
    await chat.receive()


async def raises_our_own(chat: Chat) -> None:
    raise BotError("with a user's secret in it")


@pytest.mark.parametrize(
    ("bot", "told"),
    [
        (sleeps, "wrap it in chat.step"),
        (forgets_await, "write `await` before each"),
        (says_nul, "holds a NUL character"),
        (says_too_much, "more than 50"),
        (keeps_nan, "chat.session['price'] holds NaN"),
        (raises_our_own, None),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine")
async def test_a_bot_that_breaks_a_rule_is_told_which(
    engine: AsyncEngine, bot: Bot, told: str | None
) -> None:
    play = scene(engine, bot, on_error={"message": "Sorry!"})
    await play.says("hi")
    await play.work()
    error = await play.value("SELECT detail ->> 'error' FROM incident WHERE kind = 'bot_failed'")
    assert error == await play.value("SELECT error FROM dialog")
    assert error.startswith("BotError at tests/integration/test_sessions.py:")
    if told is None:
        assert "secret" not in error
    else:
        assert told in error


async def old_version(chat: Chat) -> None:
    await chat.ask("Number?")
    await chat.say("Thanks.")


async def new_version(chat: Chat) -> None:
    await chat.receive()
    await chat.say(f"New: {chat.message.text}")


async def test_a_diverged_dialog_begins_anew_with_the_input(engine: AsyncEngine) -> None:
    play = scene(engine, old_version)
    await play.says("hi")
    await play.work()
    play.bots["tests.bots:bot"] = lambda chat: _greets(chat)
    await play.says("42")
    await play.work()
    assert play.gateway.texts == ["Number?", "New start: 42"]
    statuses = await play.rows("SELECT status FROM dialog ORDER BY id")
    assert [row[0] for row in statuses] == ["diverged", "completed"]


async def _greets(chat: Chat) -> None:
    if chat.message.text == "hi":
        await chat.receive()
    await chat.say(f"New start: {chat.message.text}")


def lookup() -> int:
    return 1


async def looks_up(chat: Chat) -> None:
    await chat.step(lookup)
    await chat.ask("Number?")


async def changed(chat: Chat) -> None:
    await chat.say("I am new.")
    await chat.receive()


async def diverged(play: Scene) -> list[str]:
    """What the user sees of the bot; the divergence is told to ops."""
    incidents = await play.rows("SELECT kind FROM incident ORDER BY id")
    assert {row[0] for row in incidents} == {"diverged"}
    return play.gateway.texts


async def test_a_diverged_dialog_that_has_begun_a_step_does_not_begin_anew(engine: AsyncEngine) -> None:
    play = scene(engine, looks_up, on_error={"message": "Sorry!"})
    await play.says("hi")
    await play.work()
    play.bots["tests.bots:bot"] = changed
    await play.says("42")
    await play.work()
    assert await diverged(play) == ["Number?", "Sorry!"]
    assert [row[0] for row in await play.rows("SELECT status FROM dialog")] == ["diverged"]
    await play.says("again")
    await play.work()
    assert play.gateway.texts == ["Number?", "Sorry!", "I am new."]


async def test_a_session_that_diverges_twice_begins_no_dialog_anew_the_second_time(
    engine: AsyncEngine,
) -> None:
    async def listens(chat: Chat) -> None:
        await chat.receive()
        await chat.say(f"Heard {chat.message.text}.")
        await chat.receive()

    play = scene(engine, old_version, on_error={"message": "Sorry!"})
    await play.says("hi")
    await play.work()
    play.bots["tests.bots:bot"] = listens
    await play.says("42")
    await play.work()
    play.bots["tests.bots:bot"] = changed
    await play.says("43")
    await play.work()
    assert await diverged(play) == ["Number?", "Sorry!"]
    statuses = await play.rows("SELECT status FROM dialog ORDER BY id")
    assert [row[0] for row in statuses] == ["diverged", "diverged"]


async def test_a_divergence_that_a_timeout_finds_begins_no_dialog_anew(engine: AsyncEngine) -> None:
    play = scene(engine, waits, on_error={"message": "Sorry!"})
    await play.says("hi")
    await play.work()
    play.bots["tests.bots:bot"] = looks_up
    await play.later(61)
    assert await diverged(play) == ["Still there?", "Sorry!"]
    assert [row[0] for row in await play.rows("SELECT status FROM dialog")] == ["diverged"]


async def test_a_straggler_is_handled_next_and_marked_late(engine: AsyncEngine) -> None:
    async def repeats(chat: Chat) -> None:
        await chat.say(chat.message.text)

    play = scene(engine, repeats)
    await play.says("second")
    await play.work()
    await play.says("first", at=play.clock() - timedelta(minutes=1))
    await play.work()
    assert play.gateway.texts == ["second", "first"]
    late = await play.rows("SELECT late FROM event ORDER BY id")
    assert [row[0] for row in late] == [False, True]


async def test_waiting_events_are_handled_by_their_timestamps(engine: AsyncEngine) -> None:
    async def repeats(chat: Chat) -> None:
        await chat.say(chat.message.text)

    play = scene(engine, repeats)
    now = play.clock()
    for number in (2, 0, 1):
        await play.says(str(number), at=now + timedelta(seconds=number - 10))
    await play.work()
    assert play.gateway.texts == ["0", "1", "2"]


async def test_a_conversation_that_says_it_is_a_test_is_marked(engine: AsyncEngine) -> None:
    play = scene(engine, waits)
    await play.says("hi")
    await play.work()
    assert await play.value("SELECT is_test FROM conversation") is False
    user = {"additionalProperties": [{"key": "isTest", "value": "true"}]}
    data = {"state": "active", "channel": "WebChat", "user": user}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": "ID-0", "data": data})
    await play.work()
    assert await play.value("SELECT is_test FROM conversation") is True
