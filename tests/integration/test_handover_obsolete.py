"""Deliveries of a handover that came too late: what is over, or done already, is not asked for again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.outbox import Outbox
from app.conversation.redrive import redrive
from app.conversation.services import PlainHost
from app.conversation.turn import Turns
from app.endpoints import Endpoint
from app.gateway.outcome import InDoubt, Outcome, Refused, Retry, Sent
from tests.integration.scene import Scene, scene
from tests.integration.test_handovers import QUEUED, SETTINGS, hands_over, happens, kinds, member, status

LOST = InDoubt(None, "no answer")


async def begun(engine: AsyncEngine, outcome: Outcome) -> Scene:
    """A handover whose assignment had this answer, and is to be asked for again."""
    play = scene(engine, hands_over, handover=SETTINGS)
    play.gateway.assignment_answers = [outcome]
    await play.says("a person please")
    await play.work()
    assert kinds(play) == ["message", "assignment"]
    return play


def assigned(play: Scene) -> list[str]:
    return [each[2]["assignment"]["type"] for each in play.gateway.requests if each[0] == "assignment"]


async def test_a_conversation_that_an_agent_has_is_not_put_into_the_queue_again(engine: AsyncEngine) -> None:
    play = await begun(engine, LOST)
    await happens(play, member("joined"))
    await play.later(5)
    assert assigned(play) == ["queue"]
    assert await play.statuses() == ["sent", "withheld", "withheld"]
    reason = await play.value("SELECT reason FROM delivery WHERE kind = 'assignment'")
    assert reason == "8x8 has the handover already"
    assert await status(play) == "active"


async def test_a_conversation_that_waits_keeps_its_place_in_the_queue(engine: AsyncEngine) -> None:
    play = await begun(engine, LOST)
    await happens(play, QUEUED)
    await play.later(5)
    assert assigned(play) == ["queue"]
    assert play.gateway.texts[-1] == "Connecting you…"
    assert await status(play) == "queued"


async def test_news_of_another_queue_do_not_stand_for_the_one_that_was_asked_for(engine: AsyncEngine) -> None:
    play = await begun(engine, Retry(3.0, 429, "HTTP 429"))
    data = {"state": "active", "assignment": {"type": "queue", "id": "7"}}
    await happens(play, {"eventType": "CONVERSATION_UPDATE", "data": data})
    await play.later(5)
    assert assigned(play) == ["queue", "queue"]


@pytest.mark.parametrize("shown", [{"type": "queue", "id": 101}, {"type": "agent", "id": "agent-1"}])
async def test_what_8x8_shows_as_taken_is_not_asked_for_again_though_it_told_nothing(
    engine: AsyncEngine, shown: dict[str, Any]
) -> None:
    play = await begun(engine, LOST)
    play.gateway.assigned = shown
    await play.later(5)
    assert assigned(play) == ["queue"]
    assert await play.value("SELECT status FROM delivery WHERE kind = 'assignment'") == "sent"
    assert play.gateway.texts[-1] == "Connecting you…"
    await happens(play, QUEUED)
    await play.work()
    assert await status(play) == "queued"


@pytest.mark.parametrize(
    "shown", [None, {"type": "script", "id": "101"}, {"type": "queue", "id": "7"}, {"type": "queue"}, "away"]
)
async def test_what_8x8_does_not_show_as_taken_is_asked_for_again(engine: AsyncEngine, shown: Any) -> None:
    play = await begun(engine, LOST)
    play.gateway.assigned = shown
    play.gateway.conversation_readable = shown != "away"
    await play.later(5)
    assert assigned(play) == ["queue", "queue"]


async def test_a_handover_cancelled_while_it_is_asked_for_is_not_asked_for_again(engine: AsyncEngine) -> None:
    play = await begun(engine, Retry(3.0, 429, "HTTP 429"))
    take = play.gateway.assign

    async def cancelled_meanwhile(*args: Any, **more: Any) -> Outcome:
        outcome = await take(*args, **more)
        if len(assigned(play)) == 2:
            await play.says("stop waiting")
            assert await turns.look()
            await turns.handle(PlainHost())
        return outcome

    play.gateway.assign = cancelled_meanwhile  # type: ignore[method-assign]
    play.gateway.assignment_answers = [LOST]
    play.clock.forward(5)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE conversation SET due_at = now()")
    state = await play.claim()
    assert state is not None
    outbox = Outbox(play.services, state)
    turns = Turns(play.services, state, outbox)
    await outbox.run()
    assert await status(play) == "cancelled"
    await play.later(5)
    assert assigned(play) == ["queue", "queue", "script"]
    reason = await play.value("SELECT reason FROM delivery WHERE kind = 'assignment'")
    assert reason == "the handover is over"
    assert "Connecting you…" not in play.gateway.texts


async def test_a_refusal_that_comes_after_the_agent_ends_nothing(engine: AsyncEngine) -> None:
    play = scene(engine, hands_over, handover=SETTINGS)

    async def taken_and_refused(
        endpoint: Endpoint, conversation: str, assignment: Mapping[str, Any], **more: Any
    ) -> Outcome:
        await play.post({"conversationId": conversation, **member("joined")})
        return Refused(409, "HTTP 409")

    play.gateway.assign = taken_and_refused  # type: ignore[method-assign]
    await play.says("a person please")
    await play.work()
    assert await status(play) == "active"
    assert await play.value("SELECT control FROM conversation") == "human"
    assert play.gateway.texts == ["One moment…"]


async def test_a_message_in_doubt_when_the_agent_came_is_withheld_when_it_is_not_there(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, hands_over, handover=SETTINGS)
    play.gateway.answers = [Sent(202), InDoubt(500, "HTTP 500")]
    await play.says("a person please")
    await play.work()
    await happens(play, QUEUED, member("joined"))
    for _ in range(4):
        await play.later(5)
    assert await play.statuses() == ["sent", "sent", "withheld"]
    assert play.gateway.texts == ["One moment…"]


async def test_an_assignment_that_is_redriven_after_its_handover_failed_takes_nobody_to_the_agents(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, hands_over, handover=SETTINGS)
    play.gateway.assignment_answers = [Refused(400, "HTTP 400")]
    await play.says("a person please")
    await play.work()
    assert await status(play) == "failed"
    done = await redrive(engine)
    assert len(done.redriven) == 1
    await play.work()
    assert assigned(play) == ["queue"]
    assert await play.value("SELECT control FROM conversation") == "bot"
    assert await play.value("SELECT status FROM delivery WHERE kind = 'assignment'") == "withheld"
