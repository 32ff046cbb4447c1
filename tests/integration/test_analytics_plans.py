"""An hour, a conversation or a page of many is found by indexes, in a database where nothing was ever off."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from app.access.tokens import Reader
from app.analytics.views import VIEWS
from app.database.engine import connect, create_engine
from app.odata.options import read_options
from app.odata.reading import Reading
from app.receiver.pages import READER
from tests.bench.pages import statements
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


async def test_pages_of_a_time_find_their_rows_by_it(
    stored: asyncpg.Connection[asyncpg.Record], database_url: str
) -> None:
    engine = create_engine(database_url, READER, application="test")
    reading = Reading(engine, Reader("test", None), "/")
    last = await stored.fetchval("SELECT max(received_at) FROM event")
    since = f"{last - timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}"
    for name, index in {
        "Messages": "Bitmap Index Scan on message_at",
        "Turns": "event_received",  # or event_received_at
        "Deliveries": "Bitmap Index Scan on delivery_created",
        "Events": "event_received",
    }.items():
        view = VIEWS[name]
        token = ""
        for _ in range(2):
            given = {"$filter": [f"{view.at} ge {since}"], **({"$skiptoken": [token]} if token else {})}
            with statements() as seen:
                body = await reading.page(view, read_options(view, given), (), page=500)
            assert len(body["value"]) == 500
            token = parse_qs(urlsplit(body["@odata.nextLink"]).query)["$skiptoken"][0]
            plans = [await explained(stored, statement, *values) for statement, values in seen]
            assert index in plans[-1], plans[-1]
            for plan in plans:
                assert not re.search(r"Seq Scan on (event|message|delivery)", plan), plan
    await engine.dispose()


async def test_runs_and_contacts_of_a_time_are_read_in_its_order(
    stored: asyncpg.Connection[asyncpg.Record], database_url: str
) -> None:
    spread = "now() - interval '90 days' * (1 - n / $1::float)"
    await stored.execute(
        f"INSERT INTO contact (endpoint, identity, first_seen_at) SELECT 'support', 'user:' || n, {spread} "
        "FROM generate_series(1, $1::int) n",
        STORED,
    )
    await stored.execute(
        "INSERT INTO session_run (session_id, conversation_id, number, name, state, opened_at, ended_at) "
        f"SELECT n, n, 1, 'run', 'Completed', {spread}, {spread} FROM generate_series(1, $1::int) n",
        STORED,
    )
    await stored.execute("ANALYZE contact, session_run")
    engine = create_engine(database_url, READER, application="test")
    reading = Reading(engine, Reader("test", None), "/")
    since = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    for name, index in {"Runs": "session_run_opened", "Contacts": "contact_first_seen"}.items():
        view = VIEWS[name]
        with statements() as seen:
            body = await reading.page(
                view, read_options(view, {"$filter": [f"{view.at} ge {since}"]}), (), page=500
            )
        assert 100 < len(body["value"]) < 300
        [plan] = [await explained(stored, statement, *values) for statement, values in seen]
        assert f"Index Scan using {index}" in plan, plan
    await engine.dispose()


async def test_what_was_not_understood_is_found_without_the_other_marks(
    stored: asyncpg.Connection[asyncpg.Record],
) -> None:
    await stored.execute(
        "INSERT INTO mark (endpoint, conversation_id, event_id, kind, value, at) "
        "SELECT 'support', conversation_id, id, 'understood', (id % 10 > 0)::text, received_at FROM event"
    )
    await stored.execute("ANALYZE mark")
    plan = await explained(
        stored,
        "SELECT m.text FROM analytics_marks k JOIN analytics_messages m ON m.event_id = k.turn_id "
        "AND m.conversation_id = k.conversation_id AND m.author = 'user' WHERE k.kind = 'understood' "
        "AND k.value = 'false' AND k.at >= (SELECT max(created_at) FROM conversation) - interval '1 hour'",
    )
    assert "mark_at" in plan
    [condition] = [line for line in plan.splitlines() if "Index Cond" in line and "kind" in line]
    assert "value" in condition, plan


async def test_what_readers_filter_by_is_planned_for_its_values(database_url: str) -> None:
    engine = create_engine(database_url, READER, application="test")
    async with engine.connect() as connection:
        mode = (await connection.execute(text("SHOW plan_cache_mode"))).scalar_one()
    await engine.dispose()
    assert mode == "force_custom_plan"


async def explained(connection: asyncpg.Connection[asyncpg.Record], query: str, *values: object) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *values))
