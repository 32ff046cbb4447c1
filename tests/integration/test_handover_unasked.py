"""A human takes the conversation over, though nobody asked, while the bot is busy: it is silent at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.modes import set_mode
from tests.integration.scene import Scene, scene
from tests.integration.test_handovers import SETTINGS, agent_says, happens, member, status

ASSIGNED = {
    "eventType": "CONVERSATION_UPDATE",
    "data": {"state": "active", "assignment": {"type": "agent", "id": "a"}},
}


def takes(play: Scene, event: dict[str, Any]) -> dict[str, Any]:
    return {"conversationId": play.conversation, "data": {}, **event}


@pytest.mark.parametrize("event", [member("joined"), agent_says("I am here"), ASSIGNED])
@pytest.mark.parametrize("asks", [False, True])
async def test_what_the_bot_says_or_asks_for_after_a_step_is_withheld_when_a_human_came_meanwhile(
    engine: AsyncEngine, event: dict[str, Any], asks: bool
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await go.wait()
        return "made"

    async def works(chat: Chat) -> None:
        await chat.say("One moment…")
        await chat.say(await chat.step(work))
        if asks:
            await chat.handover("101")

    play = scene(engine, works, handover=SETTINGS)
    await play.says("hi")
    turn = asyncio.create_task(play.work())
    await asyncio.wait_for(begun.wait(), 10)
    await play.post(takes(play, event))
    go.set()
    await turn
    assert [each[0] for each in play.gateway.requests] == ["message"]
    assert await play.value("SELECT control FROM conversation") == "human"
    assert await status(play) == "active"
    assert await play.value("SELECT count(*) FROM handover WHERE ended_at IS NULL") == 1
    await happens(play, member("left"))
    await play.later(4)
    assert await status(play) == "completed"


@pytest.mark.parametrize("mode", ["live", "to_queue"])
async def test_a_message_that_waited_until_a_human_had_come_is_not_answered_by_the_bot(
    engine: AsyncEngine, mode: Any
) -> None:
    async def repeats(chat: Chat) -> None:
        await chat.say(chat.message.text)

    play = scene(engine, repeats, handover=SETTINGS)
    await set_mode(engine, "support", mode)
    await play.services.modes.refresh(engine)
    await play.says("hello?")  # the worker is away
    await play.post(takes(play, member("joined")))
    await play.work()
    assert play.gateway.requests == []
    assert await play.value("SELECT control FROM conversation") == "human"


async def test_a_turn_that_goes_on_after_a_crash_is_silent_when_a_human_came_meanwhile(
    engine: AsyncEngine,
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await go.wait()
        return "made"

    async def works(chat: Chat) -> None:
        await chat.say(await chat.step(work))

    play = scene(engine, works)
    await play.says("hi")
    turn = asyncio.create_task(play.work())
    await asyncio.wait_for(begun.wait(), 10)
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    assert await play.value("SELECT status FROM dialog") == "running"
    go.set()
    await happens(play, member("joined"))
    assert play.gateway.texts == []
    assert await status(play) == "active"


async def test_what_the_last_handovers_agent_still_tells_silences_nobody(engine: AsyncEngine) -> None:
    async def hands_over(chat: Chat) -> None:
        await chat.handover("101")
        await chat.say("How was it?")
        await chat.say(f"You said {(await chat.receive()).text}")

    play = scene(engine, hands_over)
    await play.says("a person please")
    await play.work()
    then = play.clock()
    await happens(play, member("joined"), member("left"))
    await play.later(4)
    await play.says("good")
    await play.post(takes(play, agent_says("bye")), at=then)
    await play.work()
    assert play.gateway.texts == ["How was it?", "You said good"]
