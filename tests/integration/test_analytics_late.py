"""Counts by the hour where something happens to an hour afterwards: late, or after retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.rollup import roll_up
from app.bot import Chat
from app.conversation.lapse import end_lapsed
from app.retention import Keep, clear, keep_of
from tests.integration.scene import Scene, endpoint, scene

HOUR = timedelta(hours=1)

#: What has a time, and which.
_TIMES = {
    "session": "started_at last_input_at ended_at",
    "event": "received_at at processed_at",
    "message": "at",
    "mark": "at",
    "delivery": "created_at sent_at ended_at",
    "dialog": "started_at ended_at",
    "conversation": "created_at",
}


async def helper(chat: Chat) -> None:
    chat.understood(False)
    chat.intent("help")
    await chat.step(len, chat.message.text)
    await chat.say("Tell me more.")
    await chat.receive()
    chat.goal("served")
    await chat.say("Bye.")


async def back(engine: AsyncEngine, hours: int) -> None:
    """Everything so far happened so many hours earlier."""
    async with engine.begin() as connection:
        for table, columns in _TIMES.items():
            moved = ", ".join(f"{each} = {each} - CAST(:by AS interval)" for each in columns.split())
            await connection.execute(text(f"UPDATE {table} SET {moved}"), {"by": timedelta(hours=hours)})


async def drop_offs(play: Scene) -> tuple[int, int]:
    """How many sessions users left, raw and rolled up."""
    raw = await play.value("SELECT count(*) FROM analytics_sessions WHERE drop_off IS NOT NULL")
    rolled = await play.value(
        "SELECT COALESCE(sum(count), 0) FROM analytics_parts WHERE measure = 'drop_off'"
    )
    return int(raw), int(rolled)


async def unsettled(play: Scene) -> list[datetime]:
    rows = await play.rows("SELECT hour FROM rollup_progress WHERE NOT settled ORDER BY hour")
    return [row[0] for row in rows]


async def test_where_users_left_is_counted_when_a_long_session_ends(engine: AsyncEngine) -> None:
    play = scene(engine, helper, session_expiration=6 * 3600)
    await play.says("hello")
    await play.work()
    await back(engine, 4)
    await roll_up(engine, now=datetime.now(UTC))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET owner = NULL, due_at = NULL"))
    play.clock.forward(3 * 3600)
    assert await end_lapsed(play.services) == 1
    await roll_up(engine, now=play.clock())
    assert await drop_offs(play) == (1, 1)


async def test_where_users_left_is_counted_when_8x8_says_so_hours_later(engine: AsyncEngine) -> None:
    play = scene(engine, helper, session_expiration=0)
    await play.says("hello")
    await play.work()
    await back(engine, 4)
    await roll_up(engine, now=datetime.now(UTC))
    idle = {
        "eventType": "CONVERSATION_UPDATE",
        "conversationId": play.conversation,
        "data": {"state": "idle"},
    }
    await play.post(idle)
    await play.work()
    await roll_up(engine, now=datetime.now(UTC) + timedelta(minutes=20))
    assert await drop_offs(play) == (1, 1)


@pytest.mark.parametrize("minutes", [1, 40, 59])
async def test_a_message_that_arrives_an_hour_late_is_counted(engine: AsyncEngine, minutes: int) -> None:
    play = scene(engine, helper, session_expiration=0)
    await play.says("hello")
    await play.work()
    await back(engine, 5)
    now = datetime.now(UTC)
    over = now.replace(minute=0, second=0, microsecond=0) - 2 * HOUR
    received = over + timedelta(minutes=minutes)
    await roll_up(engine, now=received)
    await play.says("sent before the outage", at=over - timedelta(seconds=30), received=received)
    await play.work()
    for later in (1, 30, 61, 100):
        await roll_up(engine, now=received + timedelta(minutes=later))
    raw = await play.value("SELECT count(*) FROM message WHERE author = 'user'")
    assert await play.value("SELECT sum(messages_user) FROM analytics_hours") == raw == 2
    assert await play.value("SELECT messages_user FROM analytics_hours WHERE hour = :h", h=over - HOUR) == 1


async def test_a_reply_that_waits_into_the_next_hour_counts_where_its_input_arrived(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, helper, session_expiration=0)
    now = datetime.now(UTC)
    over = now.replace(minute=0, second=0, microsecond=0) - 5 * HOUR
    await play.says("hello", received=over - timedelta(seconds=5))
    await play.work()
    async with engine.begin() as connection:
        waiting = "UPDATE delivery SET status = 'waiting', sent_at = NULL, ended_at = NULL, created_at = :at"
        await connection.execute(text(waiting), {"at": over + timedelta(seconds=5)})
    await roll_up(engine, now=now)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE delivery SET status = 'sent', sent_at = now(), ended_at = now()")
        )
    await roll_up(engine, now=now + timedelta(minutes=10))
    assert await play.value("SELECT sum(replies) FROM analytics_hours") == 1


SUMS = """
    SELECT sum(sessions), sum(messages_user), sum(messages_bot), sum(not_understood), sum(dialogs),
        sum(first_replies), (SELECT count(*) FROM analytics_parts WHERE hour < :until)
    FROM analytics_hours WHERE hour < :until"""


async def test_who_returns_after_retention_leaves_the_old_counts_alone(engine: AsyncEngine) -> None:
    play = scene(engine, helper, session_expiration=1800)
    for words in ("hello", "thanks"):
        await play.says(words)
        await play.work()
    await back(engine, 60)
    now = datetime.now(UTC)
    old = now - timedelta(hours=50)
    await roll_up(engine, now=now)
    before = tuple((await play.rows(SUMS, until=old))[0])
    assert before[:6] == (1, 2, 2, 1, 1, 1)
    await clear(engine, [Keep("support", events=2, transcripts=2, analytics=None, profiles=None, files=None)])
    assert await play.value("SELECT count(*) FROM message") == 0
    await play.says("hello again")
    await play.work()
    async with engine.begin() as connection:  # whatever the reason
        await connection.execute(text("UPDATE rollup_progress SET settled = false"))
    await roll_up(engine, now=datetime.now(UTC))
    assert tuple((await play.rows(SUMS, until=old))[0]) == before
    assert await play.value("SELECT sum(sessions) FROM analytics_hours") == 2


async def test_an_endpoint_that_keeps_things_is_counted_again_all_the_same(engine: AsyncEngine) -> None:
    play = scene(engine, helper)
    await play.says("hello")
    await play.work()
    await back(engine, 60)
    await roll_up(engine, now=datetime.now(UTC))
    await clear(engine, [Keep("other", events=2, transcripts=2, analytics=2, profiles=2, files=2)])
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE mark SET value = 'true' WHERE kind = 'understood'"))
        await connection.execute(text("UPDATE rollup_progress SET settled = false"))
    await roll_up(engine, now=datetime.now(UTC))
    assert await play.value("SELECT sum(understood) FROM analytics_hours") == 1


@pytest.mark.parametrize(
    ("settings", "days"),
    [
        ({}, 30.0),
        ({"profile_ttl": 0}, 90.0),
        ({"contact_profiles": False}, 90.0),
        ({"retention": {"transcripts": 7}}, 7.0),
    ],
)
def test_counts_are_final_once_something_that_is_counted_may_be_gone(
    settings: dict[str, Any], days: float
) -> None:
    assert keep_of(endpoint(**settings), 90).counts == days


#: A session each in 150 hours; 80 of their users come back within the last five minutes.
_MANY = (
    """
    INSERT INTO conversation (endpoint, external_id, created_at, sessions)
    SELECT 'support', 'c' || i, CAST(:now AS timestamptz) - interval '29 days', 1
    FROM generate_series(1, 160) i""",
    """
    INSERT INTO session (conversation_id, number, started_at, last_input_at)
    SELECT id, 1, x.at, x.at FROM conversation,
        LATERAL (SELECT CAST(:now AS timestamptz) - (id % 150 + 5) * interval '1 hour' AS at) x""",
)
_RETURN = """
    WITH ended AS (
        UPDATE session SET ended_at = CAST(:now AS timestamptz), end_reason = 'expired'
        WHERE conversation_id % 160 < 80 RETURNING conversation_id)
    INSERT INTO session (conversation_id, number, started_at, last_input_at)
    SELECT conversation_id, 2, :now, :now FROM ended"""


async def test_a_look_counts_two_hours_however_many_users_return(engine: AsyncEngine) -> None:
    now = datetime.now(UTC).replace(minute=30)
    async with engine.begin() as connection:
        for statement in _MANY:
            await connection.execute(text(statement), {"now": now})
    assert (await roll_up(engine, now=now)).hours > 140
    async with engine.begin() as connection:
        await connection.execute(text(_RETURN), {"now": now + timedelta(minutes=1)})
    for seconds in (75, 90, 105):
        assert (await roll_up(engine, now=now + timedelta(seconds=seconds), lately=True)).hours <= 2
    assert (await roll_up(engine, now=now + timedelta(seconds=107), lately=True)).hours == 0
    later = now + timedelta(minutes=10)
    assert (await roll_up(engine, now=later)).hours > 60
    assert (await roll_up(engine, now=later + timedelta(minutes=1))).hours <= 3


async def test_what_looks_have_counted_is_gone_through_by_the_flow(engine: AsyncEngine) -> None:
    """Looks alone, for hours; then the flow settles what they left, and finds what changed meanwhile."""
    play = scene(engine, helper, session_expiration=6 * 3600)
    await play.says("hello")
    await play.work()
    now = datetime.now(UTC)
    for hours in range(8):
        await roll_up(engine, now=now + hours * HOUR, lately=True)
    assert len(await unsettled(play)) == 8
    play.clock.forward(6.5 * 3600)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET owner = NULL, due_at = NULL"))
    assert await end_lapsed(play.services) == 1
    await roll_up(engine, now=now + 8 * HOUR)
    assert len(await unsettled(play)) <= 3
    assert await drop_offs(play) == (1, 1)
