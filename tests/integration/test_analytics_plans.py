"""An hour, a conversation or a page of many is found by indexes, in a database where nothing was ever off."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text

from app.database.engine import connect, create_engine
from app.receiver.pages import READER
from tests.stored import store_ended

#: Conversations of 90 days.
STORED = 15_000

#: What autovacuum analyses while rows come; `uncounted` has none.
GROWING = "conversation, session, dialog, event, message, delivery"

_DAY = "{} >= now() - interval '31 days' AND {} < now() - interval '30 days'"


@pytest.fixture
async def stored(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection: asyncpg.Connection[asyncpg.Record] = await connect(database_url, application="test")
    await store_ended(connection, "support", first=1, last=STORED)
    # as if spread over 90 days: `store_ended` puts so few into the first of a million
    await connection.execute(
        "UPDATE session SET started_at = now() - interval '90 days' * (1 - id / $1::float)", STORED
    )
    await connection.execute(f"ANALYZE {GROWING}")
    yield connection
    await connection.close()


async def test_usual_queries_read_no_table_as_a_whole(stored: asyncpg.Connection[asyncpg.Record]) -> None:
    day = _DAY.replace("{}", "started_at")
    for query in (
        f"SELECT outcome, count(*), avg(first_reply_seconds) FROM analytics_sessions WHERE {day} GROUP BY 1",
        f"SELECT session_id, language, contained, turns FROM analytics_sessions WHERE {day}",
        "SELECT * FROM analytics_conversations ORDER BY started_at DESC LIMIT 50",
        f"SELECT * FROM analytics_sessions WHERE {day} ORDER BY started_at, session_id LIMIT 501",
        "SELECT * FROM analytics_messages WHERE conversation_id = 7",
        "SELECT * FROM analytics_turns WHERE conversation_id = 7",
        "SELECT * FROM analytics_timeline WHERE conversation_id = 7",
    ):
        plan = await explained(stored, query)
        for table in (*GROWING.split(", "), "handover"):
            assert f"Seq Scan on {table}" not in plan, plan


async def test_what_readers_filter_by_is_planned_for_its_values(database_url: str) -> None:
    engine = create_engine(database_url, READER, application="test")
    async with engine.connect() as connection:
        mode = (await connection.execute(text("SHOW plan_cache_mode"))).scalar_one()
    await engine.dispose()
    assert mode == "force_custom_plan"


async def explained(connection: asyncpg.Connection[asyncpg.Record], query: str) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}"))
