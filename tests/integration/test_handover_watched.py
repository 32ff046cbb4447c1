"""Events that never come: nobody is left with agents who are gone, or in a queue that has let go."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.gateway.outcome import Refused
from app.worker.dead_air import DeadAir
from tests.integration.scene import Scene, scene
from tests.integration.test_handover_troubles import (
    QUEUED,
    agent_says,
    begun,
    control,
    happens,
    member,
    status,
    update,
)

SCRIPT = {"type": "script", "id": "2001"}


async def passes(play: Scene, minutes: int) -> None:
    for _ in range(minutes * 2):
        await play.later(30)


async def test_a_conversation_that_8x8_takes_out_of_the_queue_is_no_longer_waiting(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine)
    await happens(play, update("queue", "101"), QUEUED, update("script", "2001"))
    play.gateway.assigned = SCRIPT
    await play.later(3.5)
    assert await status(play) == "queued"
    await play.later(3.5)
    assert await status(play) == "failed"
    assert play.gateway.texts[-1] == "failed: 8x8 took it out of the queue"


async def test_what_8x8_says_of_a_script_is_old_news_where_it_still_waits(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, update("script", "2001"))
    play.gateway.assigned = {"type": "queue", "id": "101"}
    await passes(play, 1)
    assert await status(play) == "queued"


@pytest.mark.parametrize("events", [[QUEUED], [QUEUED, member("joined")]])
async def test_a_silence_is_looked_into(engine: AsyncEngine, events: list[dict[str, Any]]) -> None:
    play = await begun(engine)
    await happens(play, *events)
    play.gateway.assigned = (
        {"type": "queue", "id": "101"} if len(events) == 1 else {"type": "agent", "id": "a"}
    )
    before = await status(play)
    await passes(play, 12)
    assert await status(play) == before
    play.gateway.assigned = None
    await passes(play, 12)
    assert await status(play) == ("failed" if len(events) == 1 else "completed")
    assert await control(play) == "bot"


async def test_an_agent_or_a_queue_that_nobody_told_of_is_found(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED)
    play.gateway.assigned = {"type": "agent", "id": "a"}
    await passes(play, 11)
    assert await status(play) == "active"
    play.gateway.assigned = {"type": "queue", "id": "102"}
    await passes(play, 11)
    assert await status(play) == "queued"


async def test_while_agents_are_heard_of_8x8_is_not_asked(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"))
    play.gateway.conversation_readable = False
    for _ in range(8):
        play.gateway.assigned = None
        await play.later(4 * 60)
        await happens(play, agent_says("hm"))
    assert await status(play) == "active"
    rows = await play.rows("SELECT position FROM timer WHERE kind = 'handover_watch' AND ended_at IS NULL")
    assert [row[0] for row in rows] == [None]


async def test_a_user_who_writes_to_an_agent_long_gone_is_answered_within_seconds(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), update("agent", "a"))
    play.gateway.assigned = {"type": "agent", "id": "a"}
    await passes(play, 15)
    play.gateway.assigned = SCRIPT  # and its `left` was lost
    await play.says("anybody?")
    await play.work()
    await play.later(3.5)
    assert await status(play) == "completed"
    assert play.gateway.texts[-1] == "completed: the agent is gone"
    assert await DeadAir(engine, play.services.endpoints, now=play.clock).look() == 0


async def test_where_no_bot_goes_on_ops_hear_that_an_agent_is_gone(engine: AsyncEngine) -> None:
    async def repeats(chat: Chat) -> None:
        await chat.say(chat.message.text)

    play = scene(engine, repeats)
    await happens(play, member("joined"))
    play.gateway.assigned = {"type": "agent", "id": "a"}
    await passes(play, 12)
    play.gateway.assigned = None
    await passes(play, 11)
    assert await control(play) == "bot"
    assert await play.value("SELECT kind FROM incident") == "handover_lost"


# the conversation could not be taken back


async def test_an_agent_whom_8x8_leaves_the_conversation_has_it(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED)
    play.gateway.assignment_answers = [Refused(400, "no such script")]
    await play.says("Stop waiting")
    await play.work()
    play.clock.forward(10)
    await happens(play, member("joined"), update("agent", "a"), agent_says("hi, I am here"))
    assert await control(play) == "human"
    said = list(play.gateway.texts)
    await play.says("great, help me")
    await play.work()
    assert play.gateway.texts == said


async def test_an_agent_who_was_there_when_it_was_refused_is_found(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"))
    play.gateway.assigned = {"type": "agent", "id": "a"}
    play.gateway.assignment_answers = [Refused(400, "no such script")]
    await play.says("Stop waiting")
    await play.work()
    await play.later(1)
    assert await control(play) == "human"
    await happens(play, member("left"))
    play.gateway.assigned = None
    await play.later(4)
    assert await control(play) == "bot"


@pytest.mark.parametrize("stays", [True, False])
async def test_an_agent_who_stays_after_the_conversation_was_taken_back_is_found(
    engine: AsyncEngine, stays: bool
) -> None:
    play = await begun(engine)
    await happens(play, QUEUED)
    await play.says("Stop waiting")
    await play.work()
    await happens(play, member("joined"), agent_says("hello?"))
    assert await control(play) == "bot"
    play.gateway.assigned = {"type": "agent", "id": "a"} if stays else SCRIPT
    await passes(play, 1)
    assert await control(play) == ("human" if stays else "bot")
