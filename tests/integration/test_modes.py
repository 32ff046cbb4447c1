"""The red button and draining, over a real database: who gets an input, while everything runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.modes import Modes, set_mode
from app.database.engine import MODES_CHANNEL, connect
from tests.integration.scene import Scene, scene

HANDOVER = {"queue": "101", "message": "Connecting you…"}


async def asks(chat: Chat) -> None:
    answer = await chat.ask("Which?")
    await chat.say(f"You said {answer}")


async def waits(chat: Chat) -> None:
    await chat.say("Still there?")
    try:
        await chat.receive(timeout=60)
    except TimeoutError:
        await chat.say("Bye.")


async def press(play: Scene, mode: Any) -> None:
    await set_mode(play.engine, "support", mode)
    await play.services.modes.refresh(play.engine)


async def hears(play: Scene, words: str) -> None:
    await play.says(words)
    await play.work()


async def test_to_queue_sends_open_dialogs_inputs_to_agents_with_the_message(engine: AsyncEngine) -> None:
    play = scene(engine, asks, handover=HANDOVER)
    await hears(play, "hi")
    await press(play, "to_queue")
    await hears(play, "this one")
    assert play.gateway.texts == ["Which?", "Connecting you…"]
    assert [each[0] for each in play.gateway.requests] == ["message", "assignment", "message"]
    assert await play.value("SELECT status FROM dialog") == "closed"
    assert await play.value("SELECT control FROM conversation") == "queue"
    await hears(play, "anybody?")
    assert play.gateway.texts == ["Which?", "Connecting you…"]


async def test_to_queue_takes_new_conversations_too_and_live_gives_them_back(engine: AsyncEngine) -> None:
    play = scene(engine, asks, handover=HANDOVER)
    await press(play, "to_queue")
    await hears(play, "hi")
    assert play.gateway.texts == ["Connecting you…"]
    await press(play, "live")
    event = {"memberType": "agent", "change": "joined", "id": "a"}
    for change in ("joined", "left"):
        data = {**event, "change": change}
        await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation, "data": data})
    await play.work()
    await play.later(4)
    await hears(play, "again")
    assert play.gateway.texts == ["Connecting you…", "Which?"]


async def test_to_queue_without_a_queue_says_sorry_and_tells_ops(engine: AsyncEngine) -> None:
    play = scene(engine, asks, on_error={"message": "Sorry!"})
    await press(play, "to_queue")
    await hears(play, "hi")
    assert play.gateway.texts == ["Sorry!"]
    assert await play.value("SELECT kind FROM incident") == "no_queue"


async def test_silent_notes_inputs_and_says_nothing(engine: AsyncEngine) -> None:
    play = scene(engine, asks)
    await hears(play, "hi")
    await press(play, "silent")
    await hears(play, "one")
    await hears(play, "two")
    assert play.gateway.texts == ["Which?"]
    rows = await play.rows("SELECT outcome FROM event ORDER BY id")
    assert [row[0] for row in rows] == ["input", "silent", "silent"]
    written = await play.rows("SELECT text FROM message WHERE author = 'user' ORDER BY id")
    assert [row[0] for row in written] == ["hi", "one", "two"]
    await press(play, "live")
    await hears(play, "three")
    assert play.gateway.texts == ["Which?", "You said three"]


async def test_silent_mutes_what_a_timer_would_say_and_the_dialog_goes_on(engine: AsyncEngine) -> None:
    play = scene(engine, waits)
    await hears(play, "hi")
    await press(play, "silent")
    await play.later(61)
    assert play.gateway.texts == ["Still there?"]
    assert await play.statuses() == ["sent", "withheld"]
    assert await play.value("SELECT status FROM dialog") == "completed"
    assert await play.value("SELECT due_at FROM conversation") is None


async def test_an_input_already_taken_goes_on_when_the_endpoint_falls_silent(engine: AsyncEngine) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await go.wait()
        return "made"

    async def works(chat: Chat) -> None:
        await chat.say("One moment…")
        await chat.say(await chat.step(work))

    play = scene(engine, works)
    await play.says("hi")
    turn = asyncio.create_task(play.work())
    await asyncio.wait_for(begun.wait(), 10)
    await press(play, "silent")
    go.set()
    await turn
    assert play.gateway.texts == ["One moment…", "made"]


async def test_a_new_conversation_of_a_draining_endpoint_goes_to_the_queue_and_known_ones_go_on(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, asks, handover=HANDOVER)
    await hears(play, "hi")
    drained = scene(engine, asks, handover=HANDOVER, enabled="draining")
    drained.worker = play.worker
    await hears(drained, "this one")
    assert drained.gateway.texts == ["You said this one"]
    drained.conversation = "ID-1"
    await hears(drained, "hello")
    assert drained.gateway.texts[1:] == ["Connecting you…"]
    for change in ("joined", "left"):
        data = {"memberType": "agent", "change": change, "id": "a"}
        await drained.post({"eventType": "MEMBERS_CHANGED", "conversationId": "ID-1", "data": data})
    await drained.work()
    await drained.later(4)
    await hears(drained, "and again")  # it is still new: the agents' again
    assert drained.gateway.texts[1:] == ["Connecting you…", "Connecting you…"]


async def test_draining_without_a_queue_notes_new_conversations_with_one_incident_each(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, asks, enabled="draining")
    await hears(play, "hello")
    await hears(play, "hello?")
    assert play.gateway.texts == []
    assert await play.value("SELECT count(*) FROM incident WHERE kind = 'drained'") == 1
    assert await play.value("SELECT count(*) FROM session") == 0


@pytest.mark.parametrize("accept", [True])
async def test_conversation_active_starts_no_bot_that_is_switched_off(
    engine: AsyncEngine, accept: bool
) -> None:
    play = scene(engine, asks, accept_conversation_active=accept, handover=HANDOVER)
    await press(play, "to_queue")
    data = {"state": "active", "user": {"name": "Ada"}}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": play.conversation, "data": data})
    await play.work()
    assert play.gateway.requests == []
    assert await play.value("SELECT profile->>'name' FROM contact") == "Ada"


async def test_a_change_is_told_at_once_and_the_mode_before_is_known(
    engine: AsyncEngine, database_url: str
) -> None:
    connection = await connect(database_url, application="test")
    told = asyncio.Event()
    await connection.add_listener(MODES_CHANNEL, lambda *_: told.set())
    assert await set_mode(engine, "support", "silent") == "live"
    await asyncio.wait_for(told.wait(), 5)
    assert await set_mode(engine, "support", "to_queue") == "silent"
    modes = Modes()
    await modes.refresh(engine)
    assert (modes.mode("support"), modes.mode("other")) == ("to_queue", "live")
    await connection.close()
