"""A hundred thousand events that wait, beside as many conversations that don't: claims stay quick."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from statistics import median

import asyncpg
import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversation import store
from app.database.engine import connect
from app.worker import claims
from tests.stored import store_ended, store_waiting

log = logging.getLogger(__name__)  # --log-cli-level=INFO shows the plans

#: Conversations that are over, that wait (with four events each).
ENDED, WAITING = 100_000, 25_000
#: Conversations claimed at a time.
AT_ONCE = 50

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


async def test_no_query_on_the_way_of_a_message_reads_a_whole_table(backlog: AsyncEngine) -> None:
    worker = await registered(backlog)
    room = {"endpoints": ["support"], "slots": [AT_ONCE], "worker": worker, "hosted": list(range(200))}
    waiting = store._WAITING.replace("$1", ":id").replace("$2", ":most")
    async with backlog.connect() as connection:
        plans = {
            "claim": await plan(connection, claims._CLAIM, **room),
            "wanted": await plan(
                connection, claims._WANTED, **{n: v for n, v in room.items() if n != "slots"}
            ),
            "sweep": await plan(connection, claims._OWN_DUE, worker=worker),
            "waiting": await plan(connection, waiting, id=ENDED + 1, most=50),
        }
    for name, explained in plans.items():
        log.info("%s\n%s", name, explained)
        assert "Seq Scan on conversation" not in explained, explained
        assert "Seq Scan on event" not in explained, explained
        assert "Sort" not in explained or name == "waiting", explained
    assert blocks(plans["claim"]) < 40 * AT_ONCE
    assert blocks(plans["wanted"]) < 20
    assert blocks(plans["sweep"]) < 2 * AT_ONCE
    assert blocks(plans["waiting"]) < 20


async def test_a_claim_takes_no_longer_with_a_hundred_thousand_events_than_with_the_last_ones(
    backlog: AsyncEngine,
) -> None:
    worker = await registered(backlog)
    took: list[float] = []
    claimed: list[int] = []
    while True:
        begun = time.perf_counter()
        async with backlog.begin() as connection:
            found = await claims.claim(connection, worker, {"support": AT_ONCE}, claimed[-200:])
        took.append(time.perf_counter() - begun)
        if not found:
            break
        claimed += [each.conversation_id for each in found]
        async with backlog.begin() as connection:  # handled, and given back
            await connection.execute(
                text("UPDATE conversation SET due_at = NULL, owner = NULL WHERE id = ANY(:ids)"),
                {"ids": claimed[-AT_ONCE:]},
            )
    assert len(claimed) == len(set(claimed)) == WAITING
    first, last = median(took[:50]), median(took[-50:])
    log.info("claims of %d: first %.1f ms, last %.1f ms", AT_ONCE, first * 1000, last * 1000)
    assert first < 5 * last and last < 5 * first
