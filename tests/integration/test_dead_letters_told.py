"""Dead letters are told of once each, however the scheduled runs fall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.dead_letters import dead_letters, tell_dead_letters

NOW = datetime.now(UTC)


async def died(
    engine: AsyncEngine, at: datetime, *, endpoint: str = "support", is_test: bool = False
) -> None:
    """A delivery is given up."""
    async with engine.begin() as connection:
        conversation = await connection.execute(
            text(
                "INSERT INTO conversation (endpoint, external_id, is_test) VALUES (:e, :x, :t) "
                "ON CONFLICT (endpoint, external_id) DO UPDATE SET is_test = :t RETURNING id"
            ),
            {"e": endpoint, "x": f"test-{is_test}", "t": is_test},
        )
        await connection.execute(
            text(
                "INSERT INTO delivery (endpoint, conversation_id, status, reason, expires_at, ended_at) "
                "VALUES (:e, :c, 'dead', 'refused with 400', :at, :at)"
            ),
            {"e": endpoint, "c": conversation.scalar_one(), "at": at},
        )


async def told(engine: AsyncEngine, now: datetime) -> dict[str, int]:
    """What a run tells."""
    said: dict[str, int] = {}
    number = await tell_dead_letters(engine, said.__setitem__, now=now)
    assert number == sum(said.values())
    return said


async def test_a_gap_between_runs_loses_none_and_a_repeat_tells_none_twice(engine: AsyncEngine) -> None:
    await died(engine, NOW - timedelta(minutes=5))
    assert await told(engine, NOW) == {"support": 1}
    assert await told(engine, NOW) == {}
    await died(engine, NOW + timedelta(minutes=3))
    await died(engine, NOW + timedelta(hours=3))
    await died(engine, NOW + timedelta(hours=3), endpoint="sales")
    assert await told(engine, NOW + timedelta(hours=6)) == {"support": 2, "sales": 1}
    assert await told(engine, NOW + timedelta(hours=6, minutes=2)) == {}


async def test_what_is_committed_a_little_later_is_told_of_the_next_time(engine: AsyncEngine) -> None:
    assert await told(engine, NOW) == {}
    await died(engine, NOW - timedelta(seconds=20))  # which nobody could see yet
    assert await told(engine, NOW + timedelta(minutes=10)) == {"support": 1}


async def test_what_could_not_be_told_is_told_again(engine: AsyncEngine) -> None:
    def fails(endpoint: str, number: int) -> None:
        raise OSError

    await died(engine, NOW - timedelta(minutes=5))
    with pytest.raises(OSError):
        await tell_dead_letters(engine, fails, now=NOW)
    assert await told(engine, NOW + timedelta(minutes=10)) == {"support": 1}


async def test_those_of_test_conversations_are_left_out(engine: AsyncEngine) -> None:
    await died(engine, NOW - timedelta(minutes=5), is_test=True)
    assert await told(engine, NOW) == {}
    assert await dead_letters(engine, since=NOW - timedelta(days=1)) == []
