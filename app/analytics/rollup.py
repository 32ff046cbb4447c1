"""Counts by the hour, kept up to date: `roll_up` computes the hours that are new or not settled.

Each hour is one transaction that replaces its numbers, so a run may stop anywhere, run twice or beside
another. An hour is settled once it is over and nothing that began in it can change any more; it is computed
again when something does change after all (a handover asked for later in a long session, a redrive). After
`FINAL` it stays as it is, whatever retention deletes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import DateTime, Text

from app.analytics.statements import COUNTS, LATENCY, PARTS

HOUR = timedelta(hours=1)
#: After this an hour is not computed again.
FINAL = timedelta(days=30)
#: What was committed by a transaction that began before the last look is not missed.
OVERLAP = timedelta(minutes=5)

_AT = DateTime(timezone=True)

_ENDPOINTS = text(
    """
    WITH RECURSIVE named AS (
        (SELECT endpoint FROM conversation ORDER BY endpoint LIMIT 1)
        UNION ALL
        SELECT (SELECT c.endpoint FROM conversation c WHERE c.endpoint > n.endpoint
                ORDER BY c.endpoint LIMIT 1)
        FROM named n WHERE n.endpoint IS NOT NULL)
    SELECT endpoint FROM named WHERE endpoint IS NOT NULL
    """
)

_FIRST = (
    text(
        """
    SELECT date_trunc('hour', LEAST(
        (SELECT min(started_at) FROM session),
        (SELECT min(e.first) FROM unnest(:endpoints) AS x(name), LATERAL (
            SELECT received_at AS first FROM event WHERE endpoint = x.name ORDER BY received_at LIMIT 1) e)
    ), 'UTC') AS first
    """
    )
    .bindparams(bindparam("endpoints", type_=ARRAY(Text)))
    .columns(first=TIMESTAMP(timezone=True))
)

_LAST = text("SELECT max(hour) AS last, max(computed_at) AS looked FROM rollup_progress").columns(
    last=TIMESTAMP(timezone=True), looked=TIMESTAMP(timezone=True)
)

#: Hours that something happened to after they were settled.
_UNSETTLE = text(
    """
    UPDATE rollup_progress SET settled = false
    WHERE settled AND hour >= :final AND hour IN (
        SELECT date_trunc('hour', s.started_at, 'UTC') FROM handover h JOIN session s ON s.id = h.session_id
        WHERE h.requested_at >= :since AND h.endpoint = ANY(:endpoints)
        UNION
        SELECT date_trunc('hour', s.started_at, 'UTC') FROM session n
        JOIN session s ON s.conversation_id = n.conversation_id AND s.number = n.number - 1
        WHERE n.started_at >= :since
        UNION
        SELECT date_trunc('hour', s.started_at, 'UTC') FROM incident i
        JOIN dialog d ON d.id = CAST(i.detail->>'dialog' AS bigint) JOIN session s ON s.id = d.session_id
        WHERE i.at >= :since AND i.kind IN ('bot_failed', 'diverged')
        UNION
        SELECT date_trunc('hour', created_at, 'UTC') FROM delivery
        WHERE status IN ('waiting', 'sending', 'in_doubt'))
    """
).bindparams(
    bindparam("final", type_=_AT), bindparam("since", type_=_AT), bindparam("endpoints", type_=ARRAY(Text))
)

_UNSETTLED = text("SELECT hour FROM rollup_progress WHERE NOT settled AND hour >= :final ORDER BY hour")

#: The row is locked by it, so that two runs take turns at an hour.
_BEGIN = text(
    """
    INSERT INTO rollup_progress (hour, computed_at, settled) VALUES (:hour, :now, false)
    ON CONFLICT (hour) DO UPDATE SET computed_at = :now
    """
)

_CLEAR = [
    text(f"DELETE FROM {table} WHERE hour = :hour")  # noqa: S608 - our own tables
    for table in ("rollup_hour", "rollup_latency", "rollup_part")
]

_SETTLE = text(
    """
    UPDATE rollup_progress SET settled = NOT (
        EXISTS (SELECT 1 FROM event WHERE processed_at IS NULL AND conversation_id IS NOT NULL
                AND received_at >= :hour AND received_at < :hour + interval '2 hours')
        OR EXISTS (SELECT 1 FROM delivery WHERE status IN ('waiting', 'sending', 'in_doubt')
                   AND created_at >= :hour AND created_at < :hour + interval '1 hour')
        OR EXISTS (SELECT 1 FROM handover WHERE ended_at IS NULL
                   AND requested_at >= :hour AND requested_at < :hour + interval '1 hour')
        OR EXISTS (SELECT 1 FROM session WHERE started_at >= :hour AND started_at < :hour + interval '1 hour'
                   AND ended_at IS NULL AND COALESCE(last_input_at, started_at) > :now - interval '2 hours'))
    WHERE hour = :hour
    """
).bindparams(bindparam("hour", type_=_AT), bindparam("now", type_=_AT))


@dataclass(frozen=True)
class RolledUp:
    """What a run did: hours computed, and the newest of them (None: there is nothing to count yet)."""

    hours: int
    newest: datetime | None


async def roll_up(
    engine: AsyncEngine, *, now: datetime, on_hour: Callable[[datetime], None] | None = None
) -> RolledUp:
    """Compute the hours up to `now` (aware) that are new or not settled; `on_hour` is told of each."""
    async with engine.begin() as connection:
        endpoints = list((await connection.execute(_ENDPOINTS)).scalars())
        hours = await _hours(connection, endpoints, now)
    for hour in hours:
        async with engine.begin() as connection:
            await _compute(connection, hour, endpoints, now)
        if on_hour is not None:
            on_hour(hour)
    return RolledUp(len(hours), hours[-1] if hours else None)


async def _hours(connection: AsyncConnection, endpoints: list[str], now: datetime) -> list[datetime]:
    """What is to be computed, the oldest first."""
    progress = (await connection.execute(_LAST)).one()
    if progress.last is None:
        start = (await connection.execute(_FIRST, {"endpoints": endpoints})).scalar_one()
        old: list[datetime] = []
    else:
        since = progress.looked - OVERLAP
        await connection.execute(_UNSETTLE, {"since": since, "final": now - FINAL, "endpoints": endpoints})
        old = list((await connection.execute(_UNSETTLED, {"final": now - FINAL})).scalars())
        start = progress.last + HOUR
    new = []
    while start is not None and start <= now:
        new.append(start)
        start += HOUR
    return [*old, *new]


async def _compute(connection: AsyncConnection, hour: datetime, endpoints: list[str], now: datetime) -> None:
    await connection.execute(_BEGIN, {"hour": hour, "now": now})
    for statement in _CLEAR:
        await connection.execute(statement, {"hour": hour})
    for statement in (*COUNTS, LATENCY, *PARTS):
        await connection.execute(statement, {"hour": hour, "endpoints": endpoints})
    if hour + HOUR + timedelta(minutes=15) <= now:
        await connection.execute(_SETTLE, {"hour": hour, "now": now})
