"""How long each endpoint keeps what."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import connect
from app.maintenance import sweep
from app.receiver.database import Database
from app.receiver.inbox import Arrival, Result
from app.retention import (
    _BODIES,
    _DELIVERIES,
    _DIALOGS,
    _JOURNALS,
    _MARKS,
    _TRANSCRIPTS,
    keep_of,
    smallest,
)
from tests.integration.scene import endpoint


@pytest.fixture
async def connection(database_url: str) -> Any:
    """Two endpoints, each with a conversation whose things are 1 to 40 days old."""
    connection = await connect(database_url, application="test")
    for number, name in enumerate(("support", "other"), start=1):
        await connection.execute("INSERT INTO conversation (endpoint, external_id) VALUES ($1, 'a')", name)
        await connection.execute(
            "INSERT INTO session (conversation_id, ended_at, end_reason) VALUES ($1, now(), 'ended')", number
        )
        await connection.execute(
            """INSERT INTO message (conversation_id, author, text, at)
               SELECT $1, 'user', 'x', now() - n * interval '1 day' FROM generate_series(1, 40) n""",
            number,
        )
        await connection.execute(
            """INSERT INTO event (endpoint, event_id, conversation_id, type, body, body_sha256,
                                  received_at, at, processed_at, outcome)
               SELECT $1, 'e' || n, $2, 'MESSAGE', 'x', 'x', now() - n * interval '1 day', now(), now(),
                      'input'
               FROM generate_series(1, 40) n""",
            name,
            number,
        )
        await connection.execute(
            """INSERT INTO delivery (endpoint, conversation_id, content, status,
                                     created_at, sent_at, ended_at, expires_at)
               SELECT $1, $2, '{"text": "x"}', 'sent', now() - n * interval '1 day',
                      now() - n * interval '1 day', now() - n * interval '1 day', now()
               FROM generate_series(1, 40) n""",
            name,
            number,
        )
        await connection.execute(
            """INSERT INTO mark (endpoint, conversation_id, kind, value, at)
               SELECT $1, $2, 'goal', 'x', now() - n * interval '1 day' FROM generate_series(1, 40) n""",
            name,
            number,
        )
        await connection.execute(
            """INSERT INTO contact (endpoint, identity, last_seen_at)
               SELECT $1, 'user:' || n, now() - n * interval '1 day' FROM generate_series(1, 40) n""",
            name,
        )
    yield connection
    await connection.close()


async def test_each_endpoint_keeps_things_for_its_own_time(engine: AsyncEngine, connection: Any) -> None:
    settings = {"events": 10, "transcripts": 20, "analytics": 30}
    swept = await sweep(
        engine, retain_days=35, endpoints=[endpoint(retention=settings, profile_ttl=25)], batch=7
    )
    assert (swept.bodies, swept.deliveries) == (31 + 6, 31 + 6), "the other one keeps 35 days"
    assert (swept.transcripts, swept.marks, swept.profiles) == (21, 11, 16)
    counts = "SELECT count(*) FROM message WHERE conversation_id = "
    assert await connection.fetchval(counts + "1") == 19
    assert await connection.fetchval(counts + "2") == 40
    assert await connection.fetchval("SELECT count(*) FROM event") == 80, "event ids stay"


async def test_a_profile_in_use_is_kept_and_copies_of_one_that_goes_are_cleared(
    engine: AsyncEngine, connection: Any
) -> None:
    await connection.execute("UPDATE conversation SET contact_id = 40 WHERE id = 1")
    await connection.execute(
        "UPDATE session SET ended_at = NULL, end_reason = NULL WHERE conversation_id = 1"
    )
    await connection.execute(
        """INSERT INTO dialog (conversation_id, session_id, bot, status, ended_at, contact_data)
           VALUES (1, 1, 'a:b', 'completed', now(), '{"name": "Ann"}')"""
    )
    await sweep(engine, retain_days=90, endpoints=[endpoint()])
    assert await connection.fetchval("SELECT count(*) FROM contact WHERE id = 40") == 1
    await connection.execute("UPDATE session SET ended_at = now(), end_reason = 'ended'")
    await sweep(engine, retain_days=90, endpoints=[endpoint()])
    assert await connection.fetchval("SELECT count(*) FROM contact WHERE id = 40") == 0
    assert await connection.fetchval("SELECT contact_data::text FROM dialog") == "{}"
    assert await connection.fetchval("SELECT contact_id FROM conversation WHERE id = 1") is None


async def test_locked_rows_are_left_for_the_next_time(engine: AsyncEngine, connection: Any) -> None:
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM event WHERE id = 40 FOR UPDATE")
        swept = await sweep(engine, retain_days=30, endpoints=[endpoint()])
        assert swept.bodies == 11 + 11 - 1
    assert (await sweep(engine, retain_days=30, endpoints=[endpoint()])).bodies == 1


async def test_an_event_is_stored_while_a_batch_of_its_conversation_is_being_deleted(
    engine: AsyncEngine, connection: Any, database_url: str
) -> None:
    database = await Database.open(database_url)
    body = b"{}"
    arrival = Arrival("support", "new", "a", "MESSAGE", body, sha256(body).digest(), "{}", None, 0)
    try:
        async with engine.begin() as batch:
            statements = (_BODIES, _JOURNALS, _DIALOGS, _DELIVERIES, _TRANSCRIPTS, _MARKS)
            for statement in statements:
                values = {"endpoint": "support", "seconds": 86_400.0, "batch": 1000}
                await batch.execute(statement, values)
            async with asyncio.timeout(2):
                stored = await database.store_singly(arrival)
            assert stored.result is Result.STORED, "the batch is not committed yet"
    finally:
        await database.aclose()


def test_the_smallest_positive_value_wins() -> None:
    assert (smallest(0, 7, 90), smallest(0, 0), smallest(120, 90)) == (7, None, 90)
    keep = keep_of(endpoint(retention={"events": 7}), 90)
    assert (keep.events, keep.transcripts, keep.analytics, keep.profiles) == (7, None, None, 30)
