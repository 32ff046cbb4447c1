"""A worker's open conversations are bounded, in all and per endpoint; those idle longest make room."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.worker.worker import MAKE_ROOM
from tests.integration.scene import Scene, endpoint, scene
from tests.integration.working import working

#: Keeps the most conversations that were ever owned at once, by endpoint, and of all as "".
WATCH = (
    "CREATE TABLE most_owned (endpoint text PRIMARY KEY, n int NOT NULL)",
    """
    CREATE FUNCTION watch_owners() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO most_owned
        SELECT COALESCE(endpoint, ''), count(*) FROM conversation WHERE owner IS NOT NULL
        GROUP BY GROUPING SETS ((endpoint), ())
        ON CONFLICT (endpoint) DO UPDATE SET n = GREATEST(most_owned.n, excluded.n);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER watch_owners AFTER UPDATE OF owner ON conversation
    FOR EACH STATEMENT EXECUTE FUNCTION watch_owners()
    """,
)


async def answers(chat: Chat) -> None:
    await chat.say(f"Heard {chat.message.text}.")


@pytest.fixture
async def play(engine: AsyncEngine) -> Scene:
    """Two endpoints with the same bot; who owns how much is watched."""
    async with engine.begin() as connection:
        for statement in WATCH:
            await connection.execute(text(statement))
    play = scene(engine, answers)
    other = endpoint(name="other", token="another-token-long-enough")
    play.services.endpoints = {**play.services.endpoints, "other": other}
    return play


#: It looks for work ten times a second and closes nothing because it is quiet.
LIVELY = {"sweep": 0.1, "linger": 600.0}


async def say(play: Scene, endpoint: str, *conversations: str) -> None:
    """A user writes in each."""
    for name in conversations:
        play.endpoint, play.conversation = endpoint, name
        await play.says("hi")


async def answered(play: Scene, number: int) -> None:
    """Return once so many conversations have their answer and nothing is left to do."""
    sent, waiting = (
        "SELECT count(*) FROM delivery WHERE status = 'sent'",
        "SELECT count(*) FROM event WHERE processed_at IS NULL",
    )
    deadline = time.monotonic() + 20
    while (await play.value(sent), await play.value(waiting)) != (number, 0):
        assert time.monotonic() < deadline, "not all were answered"
        await asyncio.sleep(0.02)


async def most(play: Scene) -> dict[str, int]:
    return dict(tuple(row) for row in await play.rows("SELECT endpoint, n FROM most_owned"))


async def test_no_more_conversations_than_its_bound_are_open_and_all_are_answered(
    play: Scene, database_url: str, tmp_path: Path
) -> None:
    await say(play, "support", *(f"ID-{number}" for number in range(6)))
    async with working(play, database_url, home=tmp_path, **LIVELY, max_sessions=2) as worker:
        await answered(play, 6)
        assert 0 < worker.open_conversations <= 2
    assert await most(play) == {"": 2, "support": 2}
    assert len(play.gateway.texts) == 6


async def test_those_that_are_idle_longest_make_room(play: Scene, database_url: str, tmp_path: Path) -> None:
    bound = MAKE_ROOM + 2
    names = [f"ID-{number:02}" for number in range(bound)]
    async with working(play, database_url, home=tmp_path, **LIVELY, max_sessions=bound) as worker:
        for number, name in enumerate(names, start=1):
            await say(play, "support", name)
            await answered(play, number)
        assert worker.open_conversations == bound
        await say(play, "support", "ID-new")
        await answered(play, bound + 1)
        owned = await play.rows("SELECT external_id FROM conversation WHERE owner IS NOT NULL ORDER BY 1")
        assert [row[0] for row in owned] == [*names[-2:], "ID-new"]
    assert await most(play) == {"": bound, "support": bound}


async def test_an_endpoint_at_its_own_bound_closes_its_own_and_no_others(
    play: Scene, database_url: str, tmp_path: Path
) -> None:
    await say(play, "other", "ID-other")
    async with working(
        play, database_url, home=tmp_path, **LIVELY, max_sessions=10, max_sessions_per_endpoint=1
    ):
        await answered(play, 1)
        await say(play, "support", "ID-0", "ID-1", "ID-2")
        await answered(play, 4)
        epochs = await play.value("SELECT epoch FROM conversation WHERE endpoint = 'other' AND owner > 0")
        assert epochs == 1
    assert await most(play) == {"": 2, "support": 1, "other": 1}
