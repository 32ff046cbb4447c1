"""Dead deliveries are sent after all, last in order and only when asked twice if they may have arrived."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.deliveries import parse_since
from app.conversation.redrive import redrive
from app.database.engine import DUE_CHANNEL, connect
from app.errors import ConfigurationError


@pytest.fixture
async def connection(database_url: str) -> Any:
    """A plain connection to the test's database."""
    connection = await connect(database_url, application="test")
    yield connection
    await connection.close()


async def conversation(connection: asyncpg.Connection[Any], name: str, endpoint: str = "support") -> int:
    """A new conversation's number."""
    query = "INSERT INTO conversation (endpoint, external_id) VALUES ($1, $2) RETURNING id"
    return int(await connection.fetchval(query, endpoint, name))


async def delivery(
    connection: asyncpg.Connection[Any],
    of: int,
    *,
    status: str = "dead",
    reason: str | None = "refused with 400",
    ended: str = "1 hour",
    endpoint: str = "support",
) -> int:
    """A new delivery's number."""
    query = """
        INSERT INTO delivery
            (endpoint, conversation_id, status, reason, expires_at, ended_at, sent_at, attempts)
        SELECT $1, $2, $3, $4, now() - interval '1 hour', CASE WHEN $3 <> 'waiting' THEN at END,
            CASE WHEN $3 = 'sent' THEN at END, 3 FROM (SELECT now() - CAST($5::text AS interval) AS at) ended
        RETURNING id"""
    reason = reason if status == "dead" else None
    return int(await connection.fetchval(query, endpoint, of, status, reason, ended))


async def row(connection: asyncpg.Connection[Any], id: int) -> asyncpg.Record:
    """A delivery as it is now."""
    found: asyncpg.Record | None = await connection.fetchrow(
        "SELECT *, now() AS at FROM delivery WHERE id = $1", id
    )
    assert found is not None
    return found


async def test_a_redriven_delivery_is_last_in_order_fresh_and_due(
    engine: AsyncEngine, connection: asyncpg.Connection[Any]
) -> None:
    of = await conversation(connection, "a")
    dead = await delivery(connection, of)
    newer = await delivery(connection, of, status="waiting")

    result = await redrive(engine, ids=[dead], max_age={"support": 120})

    assert (result.redriven, result.in_doubt, result.not_dead) == ([dead], [], [])
    now = await row(connection, dead)
    assert (now["status"], now["reason"], now["ended_at"], now["attempts"]) == ("waiting", None, None, 3)
    assert now["place"] > (await row(connection, newer))["place"]
    assert now["next_attempt_at"] <= now["at"]
    assert timedelta(seconds=90) < now["expires_at"] - now["at"] <= timedelta(seconds=120)
    assert await connection.fetchval("SELECT due_at <= now() FROM conversation WHERE id = $1", of)


async def test_several_of_a_conversation_keep_their_order(
    engine: AsyncEngine, connection: asyncpg.Connection[Any]
) -> None:
    of = await conversation(connection, "a")
    ids = [await delivery(connection, of) for _ in range(4)]
    await redrive(engine, endpoint="support")
    order = await connection.fetch("SELECT id FROM delivery ORDER BY place")
    assert [each["id"] for each in order] == ids


async def test_one_that_may_have_arrived_is_sent_again_only_when_told(
    engine: AsyncEngine, connection: asyncpg.Connection[Any]
) -> None:
    of = await conversation(connection, "a")
    doubtful = await delivery(connection, of, reason="in doubt")
    assert (await redrive(engine, ids=[doubtful])).in_doubt == [doubtful]
    assert (await row(connection, doubtful))["status"] == "dead"
    assert await connection.fetchval("SELECT due_at FROM conversation") is None
    assert (await redrive(engine, ids=[doubtful], may_duplicate=True)).redriven == [doubtful]


async def test_conditions_are_all_kept(engine: AsyncEngine, connection: asyncpg.Connection[Any]) -> None:
    mine, other = await conversation(connection, "a"), await conversation(connection, "b", "sales")
    old = await delivery(connection, mine, ended="3 days")
    new = await delivery(connection, mine, ended="1 hour")
    theirs = await delivery(connection, other, ended="1 hour", endpoint="sales")
    sent = await delivery(connection, mine, status="sent")

    since = datetime.now(UTC) - timedelta(days=1)
    assert (await redrive(engine, endpoint="support", since=since)).redriven == [new]
    assert (await redrive(engine, ids=[sent, 999], endpoint="support")).not_dead == [sent, 999]
    assert (await redrive(engine, ids=[old, theirs], endpoint="support")).redriven == [old]


async def test_a_redrive_waits_for_the_turn_under_way(
    engine: AsyncEngine, connection: asyncpg.Connection[Any], database_url: str
) -> None:
    of = await conversation(connection, "a")
    dead = await delivery(connection, of)
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM conversation WHERE id = $1 FOR NO KEY UPDATE", of)
        with pytest.raises(Exception, match="lock timeout"):
            await redrive(engine, ids=[dead])  # a worker's limits: it waits a second for a lock
    assert (await redrive(engine, ids=[dead])).redriven == [dead]


async def test_workers_are_told(engine: AsyncEngine, connection: asyncpg.Connection[Any]) -> None:
    of = await conversation(connection, "a")
    dead = await delivery(connection, of)
    told: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener(DUE_CHANNEL, lambda *arguments: told.put_nowait(str(arguments[3])))
    await redrive(engine, ids=[dead])
    assert await asyncio.wait_for(told.get(), 5) == str(of)


def test_since_is_a_time_or_a_while_ago() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_since("30m", now) == datetime(2026, 1, 31, 11, 30, tzinfo=UTC)
    assert parse_since("3d", now) == datetime(2026, 1, 28, 12, tzinfo=UTC)
    assert parse_since("2026-01-30T10:00", now) == datetime(2026, 1, 30, 10, tzinfo=UTC)
    assert parse_since("2026-01-30T10:00+02:00", now) == datetime(2026, 1, 30, 8, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="--since"):
        parse_since("yesterday", now)
