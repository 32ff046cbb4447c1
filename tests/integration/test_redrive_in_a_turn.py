"""Dead deliveries are redriven while a turn of their conversation is about to commit."""

from __future__ import annotations

import asyncio
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation import redrive
from app.conversation.outbox import Outbox
from app.conversation.services import PlainHost
from app.conversation.turn import Turns
from app.gateway.outcome import Refused
from tests.integration.scene import Scene, scene
from tests.integration.working import becomes

#: A transaction waits for a lock.
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def bot(chat: Chat) -> None:
    await chat.say(f"re {chat.message.text}")


async def one_is_dead(engine: AsyncEngine) -> Scene:
    play = scene(engine, bot)
    play.gateway.answers = [Refused(400, "no")]
    await play.says("one")
    await play.work()
    assert await play.statuses() == ["dead"]
    return play


async def turn_beside_a_redrive(play: Scene) -> None:
    """The next message's turn commits when the redrive does, whose transaction began before."""
    await play.says("two")
    state = await play.claim()
    assert state is not None
    outbox = Outbox(play.services, state)
    turns = Turns(play.services, state, outbox)
    await turns.look()
    async with play.engine.begin() as connection:
        await connection.execute(redrive._LOCK, {"id": state.id})
        turn = asyncio.create_task(turns.handle(PlainHost()))
        await becomes(partial(play.value, WAITS), 1)
        dead = [row[0] for row in await connection.execute(text("SELECT id FROM delivery"))]
        values = {"id": dead[0], "may_duplicate": True, "in_doubt": "in doubt", "max_age": 600.0}
        assert (await connection.execute(redrive._REVIVE, values)).scalar_one() == dead[0]
        await connection.execute(redrive._DUE, {"id": state.id})
    await turn
    await outbox.run()


async def test_what_is_redriven_keeps_its_place_before_what_the_turn_says(engine: AsyncEngine) -> None:
    play = await one_is_dead(engine)
    await turn_beside_a_redrive(play)
    assert play.gateway.texts == ["re one", "re two"]
    assert await play.statuses() == ["sent", "sent"]


async def test_what_is_in_flight_comes_first_whatever_its_place(engine: AsyncEngine) -> None:
    play = await one_is_dead(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                """
                INSERT INTO delivery (endpoint, conversation_id, content, status, attempts, next_attempt_at,
                    expires_at, in_doubt_since)
                SELECT endpoint, conversation_id, CAST('{"text": "re two"}' AS jsonb), 'in_doubt', 1, now(),
                    now() + interval '1 hour', now() FROM delivery
                """
            )
        )
        await connection.execute(
            text(
                "INSERT INTO delivery_attempt (delivery_id, number, started_at, deadline_at) "
                "SELECT id, 1, now(), now() FROM delivery WHERE status = 'in_doubt'"
            )
        )
        await connection.execute(
            text(
                "UPDATE delivery SET status = 'waiting', reason = NULL, ended_at = NULL WHERE status = 'dead'"
            )
        )
        await connection.execute(text("UPDATE conversation SET due_at = now()"))
    await play.work()
    for _ in range(3):
        await play.later(5)
    assert await play.statuses() == ["sent", "sent"]
    assert sorted(play.gateway.texts) == ["re one", "re two"]
