"""What is set aside because it kills workers: redriven while its session lasts, masked when that is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.bot import Chat
from app.conversation.lapse import end_lapsed
from app.conversation.loading import load
from app.conversation.quarantine import DEATHS_ALLOWED, begin_trial
from app.conversation.redrive_inputs import redrive_inputs
from app.conversation.trials import Trials
from app.database.tables import metadata
from app.worker import claims, hosted
from tests.integration.scene import Scene, scene
from tests.integration.working import becomes, many_say_hello, working

SECRET = "zanzibar-text"


async def echo(chat: Chat) -> None:
    await chat.say(f"You said {chat.message.text}")


async def set_aside(engine: AsyncEngine, *, known: bool, **settings: Any) -> Scene:
    """A conversation that killed its workers with a message; `known`: after one that was answered."""
    play = scene(engine, echo, session_expiration=60, **settings)
    if known:
        await play.says("hello")
        await play.work()
    await play.says(SECRET)
    async with engine.begin() as connection:
        deaths = text("UPDATE conversation SET deaths = :deaths, owner = NULL")
        await connection.execute(deaths, {"deaths": DEATHS_ALLOWED})
    await play.work()
    assert await play.value("SELECT count(*) FROM event WHERE outcome = 'quarantined'") == 1
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET owner = NULL"))
    return play


async def holding(play: Scene) -> set[str]:
    """Tables that hold the secret."""
    found = set()
    for name in metadata.tables:
        for row in await play.rows(f"SELECT CAST(t AS text) || CAST(to_jsonb(t) AS text) FROM {name} t"):
            if SECRET in row[0] or SECRET.encode().hex() in row[0]:
                found.add(name)
    return found


MASKS: list[dict[str, Any]] = [{"mask_sensitive_analytics": True}, {"collect_conversations": False}]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("settings", MASKS)
async def test_what_is_set_aside_is_erased_when_its_session_is_over(
    engine: AsyncEngine, known: bool, settings: dict[str, Any]
) -> None:
    play = await set_aside(engine, known=known, **settings)
    assert await holding(play) == {"event"}
    assert await end_lapsed(play.services) == 0
    assert await holding(play) == {"event"}, "while the session lasts it can be redriven"
    play.clock.forward(61)
    assert await end_lapsed(play.services) == 1
    assert await holding(play) == set()
    assert await play.value("SELECT count(*) FROM session WHERE erase AND erased_at IS NULL") == 0
    assert await redrive_inputs(engine, 1) == [], "there is nothing left to handle"
    assert await play.value("SELECT quarantined_at FROM conversation") is None


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("settings", [*MASKS, {}])
async def test_within_its_session_it_is_handled_after_all(
    engine: AsyncEngine, known: bool, settings: dict[str, Any]
) -> None:
    play = await set_aside(engine, known=known, **settings)
    assert len(await redrive_inputs(engine, 1) or []) == 1
    await play.work()
    assert play.gateway.texts[-1] == f"You said {SECRET}"


async def test_without_masks_it_waits_for_a_redrive_as_long_as_events_are_kept(engine: AsyncEngine) -> None:
    play = await set_aside(engine, known=False)
    play.clock.forward(61)
    assert await end_lapsed(play.services) == 1
    assert "event" in await holding(play)
    assert len(await redrive_inputs(engine, 1) or []) == 1
    await play.work()
    assert play.gateway.texts[-1] == f"You said {SECRET}"


class Noted(Trials):
    """Says when conversation 1 has come for its trial."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    @asynccontextmanager
    async def alone(self, conversation: int, deaths: int) -> AsyncIterator[None]:
        if conversation == 1:
            self.came.set()
        async with super().alone(conversation, deaths):
            yield


async def test_the_suspect_that_was_blamed_is_handled_after_the_others(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = scene(engine, echo)
    play.services.trials = trials = Noted()

    async def the_others_later(connection: AsyncConnection, conversation: int, **named: Any) -> Any:
        if conversation != 1:
            await trials.came.wait()
        return await load(connection, conversation, **named)

    monkeypatch.setattr(hosted, "load", the_others_later)
    await many_say_hello(play, 6)
    suspects = text(
        "UPDATE conversation SET deaths = CASE WHEN id = 1 THEN 2 ELSE 1 END, "
        "due_at = now() - make_interval(secs => 60 - id)"
    )
    async with engine.begin() as connection:
        await connection.execute(suspects)
    async with working(play, database_url):
        await becomes(partial(play.value, "SELECT count(*) FROM event WHERE processed_at IS NULL"), 0)
    order = await play.rows("SELECT conversation_id FROM event WHERE type = 'MESSAGE' ORDER BY processed_at")
    assert len(order) == 6 and order[-1].conversation_id == 1
    assert await play.value("SELECT max(deaths) FROM conversation") == 0


async def die_during_a_trial(engine: AsyncEngine, number: int) -> None:
    """A worker claims all that is due, begins with a suspect, and is killed then."""
    async with engine.begin() as connection:
        worker = await claims.register(
            connection, host="here", pid=number, started=1.0, lease=timedelta(seconds=60)
        )
        claimed = await claims.claim(connection, worker, {"support": 50}, [])
        states = [await load(connection, claim.conversation_id, take_over=True) for claim in claimed]
    trials, begun = Trials(), asyncio.Event()
    for claim in claimed:
        trials.expect(claim.conversation_id, claim.deaths)

    async def tried(at: int) -> None:
        async with trials.alone(states[at].id, claimed[at].deaths):
            await begin_trial(engine, states[at])
            begun.set()
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(tried(at)) for at, claim in enumerate(claimed) if claim.deaths]
    if tasks:  # before the first death there is no suspect
        async with asyncio.timeout(10):
            await begun.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with engine.begin() as connection:
        await claims.bury(connection, [worker])


async def test_workers_killed_again_and_again_blame_one_conversation_after_the_other(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, echo)
    await many_say_hello(play, 5)
    for number in range(6):  # the first makes suspects, then each blames one
        await die_during_a_trial(engine, number)
    async with engine.begin() as connection:
        worker = await claims.register(
            connection, host="here", pid=99, started=1.0, lease=timedelta(seconds=60)
        )
        claimed = await claims.claim(connection, worker, {"support": 50}, [])
    assert sorted(claim.deaths for claim in claimed) == [2, 2, 2, 2, 2]
