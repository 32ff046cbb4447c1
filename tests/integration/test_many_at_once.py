"""Many conversations at once: each has what it needs, however many take from the same at that moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.bot import Chat
from app.conversation.ids import Ids
from app.gateway.outcome import Refused
from tests.integration.scene import Scene, scene
from tests.integration.working import becomes, many_say_hello, working

UNHANDLED = "SELECT count(*) FROM event WHERE processed_at IS NULL"
AT_REST = "SELECT count(*) FROM dialog WHERE status = 'waiting'"
BLAMED = "SELECT count(*) FROM conversation WHERE deaths > 0"


async def answered(play: Scene) -> int:
    return len(play.gateway.texts)


async def answers(chat: Chat) -> None:
    await chat.say("hi")


async def test_two_hundred_conversations_begin_at_once(engine: AsyncEngine, database_url: str) -> None:
    play = scene(engine, answers)
    await many_say_hello(play, 200)
    with capture_logs() as logs:
        async with working(play, database_url):
            await becomes(partial(play.value, UNHANDLED), 0)
            await becomes(partial(answered, play), 200)
            assert await play.value(BLAMED) == 0
    assert [each for each in logs if each["event"] == "conversation_failed"] == []


async def test_the_steps_of_many_bots_end_in_the_same_moment(engine: AsyncEngine, database_url: str) -> None:
    begun = 0
    together = asyncio.Event()

    async def looks_up() -> int:
        nonlocal begun
        begun += 1
        if begun == 150:
            together.set()
        await together.wait()
        return begun

    async def bot(chat: Chat) -> None:
        await chat.step(looks_up)
        await chat.say("There")
        await chat.receive(timeout=600)

    play = scene(engine, bot)
    await many_say_hello(play, 150)
    with capture_logs() as logs:
        async with working(play, database_url):
            await becomes(partial(play.value, AT_REST), 150)
            await becomes(partial(answered, play), 150)
            assert await play.value(BLAMED) == 0
    assert [each for each in logs if each["event"] == "conversation_failed"] == []
    assert begun == 150
    assert play.gateway.texts == ["There"] * 150


async def test_handovers_are_refused_in_the_same_moment(engine: AsyncEngine, database_url: str) -> None:
    async def bot(chat: Chat) -> None:
        await chat.handover("101")

    play = scene(engine, bot)
    play.services.ids = replace(play.services.ids, timer=Ids(engine, "timer_id_seq", block=1))
    play.gateway.assignment_answers = [Refused(400, "no such queue")] * 40
    await many_say_hello(play, 40)
    with capture_logs() as logs:
        async with working(play, database_url):
            await becomes(partial(play.value, "SELECT count(*) FROM handover WHERE status = 'failed'"), 40)
            assert await play.value(BLAMED) == 0
    assert [each for each in logs if each["event"] == "conversation_failed"] == []


async def test_a_reservation_holds_for_all_tables_at_once(engine: AsyncEngine) -> None:
    pools = scene(engine, answers).services.ids
    taken: list[int] = []

    async def draft() -> None:
        await pools.reserve()
        taken.extend(pools.delivery.take() for _ in range(50))
        taken.extend(pools.session.take() + 10**6 for _ in range(1))
        taken.extend(pools.dialog.take() + 2 * 10**6 for _ in range(2))
        taken.extend(pools.timer.take() + 3 * 10**6 for _ in range(8))

    await asyncio.gather(*(draft() for _ in range(100)))
    assert len(taken) == len(set(taken)) == 100 * 61
