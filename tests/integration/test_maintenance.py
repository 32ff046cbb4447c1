"""The sweep clears what is old and nothing else."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import connect
from app.maintenance import numbers, sweep


@pytest.fixture
async def connection(database_url: str) -> Any:
    """A plain connection to the test's database, with one conversation and session of number 1."""
    connection = await connect(database_url, application="test")
    await connection.execute("INSERT INTO conversation (endpoint, external_id) VALUES ('support', 'a')")
    await connection.execute("INSERT INTO session (conversation_id) VALUES (1)")
    yield connection
    await connection.close()


async def events(
    connection: asyncpg.Connection[Any], age: str, count: int, *, processed: bool = True
) -> None:
    """So many events that arrived `age` ago."""
    await connection.execute(
        """
        INSERT INTO event (endpoint, event_id, conversation_id, type, body, body_sha256, payload,
                           received_at, at, processed_at, outcome)
        SELECT 'support', $1 || n, 1, 'MESSAGE', '{}', 'x', '{}', now() - CAST($1::text AS interval),
               now(), CASE WHEN $3 THEN now() END, CASE WHEN $3 THEN 'input' END
        FROM generate_series(1, $2) AS n""",
        age,
        count,
        processed,
    )


async def dialog(connection: asyncpg.Connection[Any], age: str | None, entries: int) -> int:
    """A dialog that ended `age` ago (None: it is open), with so many journal entries."""
    query = """
        INSERT INTO dialog (conversation_id, session_id, bot, status, ended_at)
        VALUES (1, 1, 'a:b', CASE WHEN $1::text IS NULL THEN 'waiting' ELSE 'completed' END,
                now() - CAST($1::text AS interval)) RETURNING id"""
    id = int(await connection.fetchval(query, age))
    await connection.execute(
        "INSERT INTO journal (dialog_id, position, kind, at) "
        "SELECT $1, n, 'note', now() FROM generate_series(1, $2) AS n",
        id,
        entries,
    )
    return id


async def test_old_bodies_go_in_batches_but_event_ids_stay(
    engine: AsyncEngine, connection: asyncpg.Connection[Any]
) -> None:
    await events(connection, "100 days", 25)
    await events(connection, "99 days", 3, processed=False)
    await events(connection, "80 days", 5)

    swept = await sweep(engine, retain_days=90, batch=10)

    assert swept.bodies == 25
    assert await connection.fetchval("SELECT count(*) FROM event") == 33
    assert await connection.fetchval("SELECT count(*) FROM event WHERE body IS NOT NULL") == 8
    assert (
        await connection.fetchval("SELECT count(*) FROM event WHERE body IS NULL AND payload IS NULL") == 25
    )
    assert (await sweep(engine, retain_days=90, batch=10)).bodies == 0


async def test_old_dialogs_lose_their_journals(
    engine: AsyncEngine, connection: asyncpg.Connection[Any]
) -> None:
    await dialog(connection, "100 days", 25)
    kept = [await dialog(connection, "10 days", 7), await dialog(connection, None, 7)]

    swept = await sweep(engine, retain_days=90, batch=10)

    assert (swept.journal_entries, swept.dialogs) == (25, 0), "the rows are counted"
    assert await connection.fetchval("SELECT count(*) FROM dialog") == 3
    left = await connection.fetch("SELECT DISTINCT dialog_id FROM journal ORDER BY 1")
    assert [each["dialog_id"] for each in left] == kept


async def test_old_timers_and_workers_go(engine: AsyncEngine, connection: asyncpg.Connection[Any]) -> None:
    await connection.execute(
        """
        INSERT INTO timer (conversation_id, kind, due_at, ended_at, outcome)
        SELECT 1, 'receive', now(), at, CASE WHEN at IS NOT NULL THEN 'fired' END
        FROM unnest(ARRAY[now() - interval '100 days', now() - interval '1 day', NULL]) AS at"""
    )
    await connection.execute(
        """
        INSERT INTO worker (host, pid, alive_until) VALUES
        ('h', 1, now() - interval '100 days'), ('h', 2, now() - interval '100 days'), ('h', 3, now())"""
    )
    await connection.execute("UPDATE conversation SET owner = 2")

    swept = await sweep(engine, retain_days=90)

    assert (swept.timers, swept.workers) == (1, 1)
    assert await connection.fetchval("SELECT count(*) FROM timer") == 2
    assert [each["id"] for each in await connection.fetch("SELECT id FROM worker ORDER BY id")] == [2, 3]


async def test_runs_of_dead_workers_are_closed_and_named(
    engine: AsyncEngine, connection: asyncpg.Connection[Any]
) -> None:
    await connection.execute(
        """
        INSERT INTO worker (host, pid, alive_until, stopped_at) VALUES
        ('h', 1, now() - interval '5 minutes', NULL), ('h', 2, now() + interval '10 s', NULL),
        ('h', 3, now() + interval '10 s', now())"""
    )
    runs = [uuid4() for _ in range(4)]
    for number, (run, worker) in enumerate(zip(runs, (1, 2, 3, None), strict=True), start=1):
        await connection.execute(
            "INSERT INTO session_run (session_id, conversation_id, worker_id, number, flow_run_id, name) "
            "VALUES (1, 1, $1, $2, $3, 'run')",
            worker,
            number,
            run,
        )

    swept = await sweep(engine, retain_days=90)

    assert set(swept.runs) == {runs[0], runs[2], runs[3]}
    assert numbers(swept)["runs"] == 3
    states = await connection.fetch(
        "SELECT state, ended_at IS NOT NULL AS ended FROM session_run ORDER BY number"
    )
    assert [(each["state"], each["ended"]) for each in states] == [
        ("Crashed", True),
        ("Running", False),
        ("Crashed", True),
        ("Crashed", True),
    ]
