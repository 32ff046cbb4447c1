"""A hundred thousand events that wait, beside those of conversations that are over: claims stay quick."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from statistics import median
from typing import cast

import asyncpg
import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.bot import Chat
from app.conversation import at_once, store
from app.database.direct import Direct, Driver, direct
from app.database.engine import connect
from app.worker import claims
from tests.integration.scene import scene
from tests.stored import store_ended, store_waiting

log = logging.getLogger(__name__)  # --log-cli-level=INFO shows the plans

#: Conversations that are over, that wait (with four events each).
ENDED, WAITING = 25_000, 25_000
#: Conversations claimed at a time, and how often that is measured.
AT_ONCE, TIMES = 50, 30

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def backlog(engine: AsyncEngine, database_url: str) -> AsyncIterator[AsyncEngine]:
    connection: asyncpg.Connection[asyncpg.Record] = await connect(database_url, application="test")
    await store_ended(connection, "support", first=1, last=ENDED)
    await store_waiting(connection, "support", first=ENDED + 1, last=ENDED + WAITING)
    await connection.execute("ANALYZE")
    assert await connection.fetchval("SELECT count(*) FROM event WHERE processed_at IS NULL") == 4 * WAITING
    await connection.close()
    yield engine


async def plan(connection: AsyncConnection, statement: TextClause | str, **values: object) -> str:
    """How the database carries a statement out, and how many rows and blocks that takes."""
    explained = text(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) {statement}")
    return "\n".join(row[0] for row in await connection.execute(explained, values))


def blocks(explained: str) -> int:
    """Blocks that the whole statement looked at."""
    found = re.search(r"Buffers: shared([^\n]*)", explained)
    return sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", found[1])) if found else 0


async def registered(engine: AsyncEngine) -> int:
    async with engine.begin() as connection:
        return await claims.register(
            connection, host="here", pid=1, started=0.0, lease=timedelta(seconds=600)
        )


async def test_claims_read_no_whole_table_and_take_no_longer_than_with_the_last_events(
    backlog: AsyncEngine,
) -> None:
    worker = await registered(backlog)
    await check_plans(backlog, worker)
    many = await claims_take(backlog, worker)
    async with backlog.begin() as connection:  # all but the last: their index entries are still there
        await connection.execute(
            text("UPDATE conversation SET due_at = NULL, owner = NULL WHERE id < :last"),
            {"last": ENDED + WAITING - 2 * TIMES * AT_ONCE},
        )
    few = await claims_take(backlog, worker)
    log.info("claims of %d: first %.1f ms, last %.1f ms", AT_ONCE, many * 1000, few * 1000)
    assert many < 4 * few


async def check_plans(backlog: AsyncEngine, worker: int) -> None:
    """Before anything is claimed: what a claim leaves in an index until a vacuum differs."""
    room = {
        "endpoints": ["support"],
        "slots": [AT_ONCE],
        "most": 300,
        "worker": worker,
        "hosted": list(range(200)),
    }
    full = {"endpoints": ["nobody", "support"], "worker": worker, "hosted": room["hosted"]}
    waiting = store._WAITING.replace("$1", ":id").replace("$2", ":most")
    async with backlog.connect() as connection:
        plans = {
            "wanted": await plan(connection, claims._WANTED, **full),
            "claim": await plan(connection, claims._CLAIM, **room),  # and the next sees what this one claimed
            "sweep": await plan(connection, claims._OWN_DUE, worker=worker),
            "waiting": await plan(connection, waiting, id=ENDED + WAITING, most=50),
        }
    for name, explained in plans.items():
        log.info("%s\n%s", name, explained)
        assert "Seq Scan on conversation" not in explained, explained
        assert "Seq Scan on event" not in explained, explained
        assert "Sort" not in explained or name == "waiting", explained
    assert 0 < blocks(plans["wanted"]) < 10
    assert 0 < blocks(plans["claim"]) < 40 * AT_ONCE
    assert 0 < blocks(plans["sweep"]) < 4 * AT_ONCE
    assert 0 < blocks(plans["waiting"]) < 20


async def test_a_turn_and_its_sending_read_no_whole_table(
    backlog: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual turn is one statement, and so is that its reply was sent: with what is stored beside it."""
    said: list[tuple[str, tuple[object, ...]]] = []

    class Listening:
        def __init__(self, driver: Driver) -> None:
            self._driver = driver

        async def fetchval(self, statement: str, *values: object) -> object:
            said.append((statement, values))
            return await self._driver.fetchval(statement, *values)

    @asynccontextmanager
    async def listened(engine: AsyncEngine) -> AsyncIterator[Direct]:
        async with direct(engine) as database:
            yield replace(database, driver=cast(Driver, Listening(database.driver)))

    monkeypatch.setattr(at_once, "direct", listened)
    play = scene(backlog, answers)
    play.endpoint = "support"
    async with backlog.begin() as connection:  # this one is first
        await connection.execute(text("UPDATE conversation SET due_at = NULL"))
    for word in ("one", "two"):
        await play.says(word)
        await play.work()
        await play.echo(f"Heard {word}.")
    assert play.gateway.texts == ["Heard one.", "Heard two."]
    assert len(said) == 4, "a turn and its sending, twice"
    async with direct(backlog) as database:
        for statement, values in said:
            rows = await database.driver.fetch(f"EXPLAIN (COSTS OFF) {statement}", *values)
            explained = "\n".join(row[0] for row in rows)
            log.info("%s", explained)
            read = set(re.findall(r"Seq Scan on (\w+)", explained))
            assert read <= {"timer"}, explained  # of which none is stored here


async def answers(chat: Chat) -> None:
    await chat.say(f"Heard {chat.message.text}.")


async def claims_take(backlog: AsyncEngine, worker: int) -> float:
    """Median seconds of a claim; what is claimed is handled and given back."""
    took: list[float] = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        async with backlog.begin() as connection:
            found = await claims.claim(connection, worker, {"support": AT_ONCE}, [])
        took.append(time.perf_counter() - begun)
        assert len(found) == AT_ONCE
        async with backlog.begin() as connection:
            await connection.execute(
                text("UPDATE conversation SET due_at = NULL, owner = NULL WHERE id = ANY(:ids)"),
                {"ids": [each.conversation_id for each in found]},
            )
    return median(took)
