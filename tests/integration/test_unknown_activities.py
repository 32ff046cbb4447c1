"""Activities that 8x8 does not document, such as a report of what was delivered, in a whole conversation."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.worker.dead_air import DeadAir
from tests.integration.scene import Scene, endpoint, scene


async def delivered(play: Scene) -> None:
    """8x8 reports something that nobody has heard of, and the worker sees it."""
    data = {"name": "message/delivered", "value": {"id": "m-1"}}
    await play.post({"eventType": "ACTIVITY", "conversationId": play.conversation, "data": data})
    await play.work()


async def answers(chat: Chat) -> None:
    await chat.say(f"got {chat.message.kind} {chat.message.text!r}")


async def asks(chat: Chat) -> None:
    count = await chat.ask("How many?", parse=int, retry="A number, please.")
    await chat.say(f"{count}, then.")


async def helps(chat: Chat) -> None:
    outcome = await chat.handover("101", message="Connecting you…")
    await chat.say(outcome.status)


async def test_after_a_dialog_has_ended_an_activity_starts_no_other_and_is_noted(engine: AsyncEngine) -> None:
    play = scene(engine, answers)
    await play.says("hi")
    await play.work()
    for _ in range(3):
        await delivered(play)
    assert play.gateway.texts == ["got text 'hi'"]
    outcomes = await play.rows("SELECT type, outcome FROM event ORDER BY id")
    assert [tuple(row) for row in outcomes] == [("MESSAGE", "input"), *[("ACTIVITY", "noted")] * 3]
    assert await play.value("SELECT count(*) FROM message WHERE author = 'user'") == 1


async def test_a_question_waits_on_through_activities(engine: AsyncEngine) -> None:
    play = scene(engine, asks)
    await play.says("hi")
    await play.work()
    for _ in range(4):
        await delivered(play)
    await play.says("2")
    await play.work()
    assert play.gateway.texts == ["How many?", "2, then."]


async def test_an_activity_does_not_keep_a_session_alive_nor_begins_one(engine: AsyncEngine) -> None:
    play = scene(engine, asks, session_expiration=600)
    await play.says("hi")
    await play.work()
    play.clock.forward(400)
    await delivered(play)
    play.clock.forward(400)
    await delivered(play)  # the dialog is open, but its session is over
    await play.says("hello again")
    await play.work()
    assert play.gateway.texts == ["How many?", "How many?"]
    assert await play.value("SELECT count(*) FROM session") == 2


async def test_waiting_for_an_agent_an_activity_repeats_no_message(engine: AsyncEngine) -> None:
    play = scene(engine, helps, handover={"repeat_message": True})
    await play.says("hi")
    await play.work()
    said = list(play.gateway.texts)
    await delivered(play)
    assert play.gateway.texts == said


async def test_an_activity_that_nobody_answers_is_no_dead_air(engine: AsyncEngine) -> None:
    play = scene(engine, asks)
    await play.says("hi")
    await play.work()
    await delivered(play)
    watched = {"support": endpoint(dead_air=60)}
    later = play.clock() + timedelta(seconds=90)
    watch = DeadAir(engine, watched, now=lambda: later)
    assert await watch.look() == 0
