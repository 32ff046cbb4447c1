"""One handover with a transfer, its events arriving in many orders: the end is always the same."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from tests.integration.scene import Scene, scene

#: As many as there is time for; each is a conversation of its own, handled afresh at each event.
ORDERS = 10


def member(change: str, agent: str) -> dict[str, Any]:
    return {"eventType": "MEMBERS_CHANGED", "data": {"memberType": "agent", "change": change, "id": agent}}


def says(words: str, agent: str) -> dict[str, Any]:
    data = {"isEcho": False, "sender": {"id": agent, "type": "agent"}, "text": words}
    return {"eventType": "MESSAGE", "data": data}


STORY = [
    {"eventType": "QUEUED", "data": {"queueId": "101"}},
    member("joined", "a"),
    says("one moment", "a"),
    member("left", "a"),
    {"eventType": "TRANSFER", "data": {}},
    {"eventType": "QUEUED", "data": {"queueId": "102"}},
    member("joined", "b"),
    says("hello", "b"),
    member("left", "b"),
]


async def hands_over(chat: Chat) -> None:
    outcome = await chat.handover("101")
    await chat.say(f"{outcome.status} {sorted(outcome.agent_ids)} {sorted(m.text for m in outcome.messages)}")


async def played(play: Scene, order: list[int]) -> list[str]:
    """What the user sees when the events arrive in that order."""
    before = len(play.gateway.texts)
    await play.says("a person please")
    await play.work()
    start = play.clock()
    for place in order:
        event = {"conversationId": play.conversation, **STORY[place]}
        await play.post(event, at=start + timedelta(milliseconds=10 * place))
        await play.work()
    play.gateway.assigned = {"type": "script", "id": "2001"}
    await play.later(4)
    return play.gateway.texts[before:]


async def test_every_order_of_arrival_comes_to_the_same_end(engine: AsyncEngine) -> None:
    play = scene(engine, hands_over)
    rng = random.Random(8)
    orders = [list(range(len(STORY))), list(reversed(range(len(STORY))))]
    orders += [rng.sample(range(len(STORY)), len(STORY)) for _ in range(ORDERS - len(orders))]
    for number, order in enumerate(orders):
        play.conversation = f"ID-{number}"
        assert await played(play, order) == ["completed ['a', 'b'] ['hello', 'one moment']"], order
    rows = await play.rows("SELECT status, transfers, jsonb_array_length(agents) FROM handover")
    assert {tuple(row) for row in rows} == {("completed", 1, 2)}
    assert await play.value("SELECT count(*) FROM handover") == ORDERS
    assert await play.value("SELECT count(*) FROM conversation WHERE control <> 'bot'") == 0
