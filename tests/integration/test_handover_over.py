"""The conversation is over for 8x8: the user left, or it fell idle. What agents did before is told later."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.outbox import Outbox
from app.conversation.services import PlainHost
from app.conversation.turn import Turns
from tests.integration.scene import Scene
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

IDLE = update(None, state="idle")
USER_LEFT = member("left", "user-1", "user")


class Memory:
    """A worker that keeps the conversation in memory from one event to the next."""

    def __init__(self, play: Scene) -> None:
        self.play = play
        self.turns: Turns | None = None

    async def happens(self, *events: dict[str, Any], **times: Any) -> None:
        for event in events:
            await self.play.post({"conversationId": self.play.conversation, "data": {}, **event}, **times)
        await self.work()

    async def work(self) -> None:
        if self.turns is None:
            state = await self.play.claim()
            assert state is not None
            self.outbox = Outbox(self.play.services, state)
            self.turns = Turns(self.play.services, state, self.outbox)
        while await self.turns.look() is not None:
            await self.turns.handle(PlainHost())
        await self.outbox.run()


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("over", [IDLE, USER_LEFT])
@pytest.mark.parametrize("event", [agent_says("good bye"), member("joined", "b"), update("agent", "b")])
async def test_what_an_agent_did_before_it_was_over_silences_nobody_when_it_is_told_later(
    engine: AsyncEngine, over: dict[str, Any], event: dict[str, Any], restart: bool
) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"))
    then = play.clock()
    play.clock.forward(1)
    memory = Memory(play)
    tell = (lambda *events, **times: happens(play, *events, **times)) if restart else memory.happens
    await tell(over)
    assert await status(play) == "completed"
    await tell(event, at=then)
    assert await play.value("SELECT count(*) FROM handover") == 1
    assert await control(play) == "bot"
    said = len(play.gateway.texts)
    await play.says("hello again")
    await (play.work() if restart else memory.work())
    assert len(play.gateway.texts) > said


@pytest.mark.parametrize("over", [IDLE, USER_LEFT])
async def test_told_in_their_order_they_come_to_the_same(engine: AsyncEngine, over: dict[str, Any]) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), agent_says("good bye"), over)
    assert (await status(play), await control(play)) == ("completed", "bot")
    assert await play.value("SELECT count(*) FROM handover") == 1


async def test_an_agent_who_writes_after_it_was_over_has_the_conversation(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), IDLE)
    await happens(play, agent_says("one more thing"))
    assert await control(play) == "human"
