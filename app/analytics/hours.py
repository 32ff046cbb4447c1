"""Which hours are to be counted: those that are new, and those that something happened to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import DateTime, Text

from app.analytics.reached import CHANGES, reach, reached

HOUR = timedelta(hours=1)
#: After this an hour is not counted again.
FINAL = timedelta(days=30)
#: What was committed by a transaction that began before the last look is not missed.
OVERLAP = timedelta(minutes=5)
#: After its end an hour is open for so long: an event may be stamped an hour before it arrives, and what it
#: says is counted by that time; then it has to be handled.
LATE = timedelta(minutes=75)

_AT = DateTime(timezone=True)

#: Names of all endpoints that ever had a conversation, each found by the index.
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

_LAST = text("SELECT max(hour) AS last FROM rollup_progress").columns(last=TIMESTAMP(timezone=True))

#: Hours that something happened to after they were last counted: a session ended (where the user left is
#: known then), a handover was asked for late, a dialog failed; and all that a delivery still waits in.
_UNSETTLE = text(
    """
    UPDATE rollup_progress p SET settled = false FROM (
        SELECT started_at AS began, ended_at AS changed FROM session WHERE ended_at >= :since
        UNION ALL
        SELECT s.started_at, h.requested_at FROM handover h JOIN session s ON s.id = h.session_id
        WHERE h.requested_at >= :since AND h.endpoint = ANY(:endpoints)
        UNION ALL
        SELECT s.started_at, i.at FROM incident i
        JOIN dialog d ON d.id = CAST(i.detail->>'dialog' AS bigint) JOIN session s ON s.id = d.session_id
        WHERE i.at >= :since AND i.kind IN ('bot_failed', 'diverged')
        UNION ALL
        SELECT unnest(ARRAY[d.created_at, e.received_at]), 'infinity'
        FROM delivery d LEFT JOIN event e ON e.id = d.event_id
        WHERE d.status IN ('waiting', 'sending', 'in_doubt')) x
    WHERE p.hour = date_trunc('hour', x.began, 'UTC') AND p.hour >= :final AND p.settled
      AND x.changed > p.computed_at - CAST(:overlap AS interval)
    """
).bindparams(
    bindparam("final", type_=_AT), bindparam("since", type_=_AT), bindparam("endpoints", type_=ARRAY(Text))
)

_UNSETTLED = text("SELECT hour FROM rollup_progress WHERE NOT settled AND hour >= :oldest ORDER BY hour")

_SETTLE = text(
    """
    UPDATE rollup_progress SET settled = NOT (
        EXISTS (SELECT 1 FROM event WHERE processed_at IS NULL AND conversation_id IS NOT NULL
                AND received_at >= :hour AND received_at < :hour + interval '2 hours')
        OR EXISTS (SELECT 1 FROM delivery WHERE status IN ('waiting', 'sending', 'in_doubt')
                   AND created_at >= :hour AND created_at < :hour + interval '2 hours')
        OR EXISTS (SELECT 1 FROM handover WHERE ended_at IS NULL
                   AND requested_at >= :hour AND requested_at < :hour + interval '1 hour')
        OR EXISTS (SELECT 1 FROM session WHERE started_at >= :hour AND started_at < :hour + interval '1 hour'
                   AND ended_at IS NULL AND COALESCE(last_input_at, started_at) > :now - interval '2 hours'))
    WHERE hour = :hour
    """
).bindparams(bindparam("hour", type_=_AT), bindparam("now", type_=_AT))


async def endpoints_of(connection: AsyncConnection) -> list[str]:
    """The endpoints that have conversations."""
    return list((await connection.execute(_ENDPOINTS)).scalars())


async def hours_to_count(
    connection: AsyncConnection, endpoints: list[str], now: datetime, *, lately: bool
) -> list[datetime]:
    """Hours that are new or not settled, the oldest first; with `lately` of those that were counted before
    the current and the previous one alone, and no look for what changed in others."""
    last = (await connection.execute(_LAST)).scalar_one()
    if last is None:
        start = (await connection.execute(_FIRST, {"endpoints": endpoints})).scalar_one()
        return _from(start, now)
    oldest = now - FINAL
    if lately:
        oldest = _hour(now) - HOUR
    else:
        await _unsettle(connection, endpoints, now)
    unsettled = list((await connection.execute(_UNSETTLED, {"oldest": oldest})).scalars())
    return [*unsettled, *_from(last + HOUR, now)]


async def settle(connection: AsyncConnection, hour: datetime, now: datetime) -> None:
    """Note that nothing which began in the hour can change any more, where that is so."""
    if hour + HOUR + LATE <= now:
        await connection.execute(_SETTLE, {"hour": hour, "now": now})


async def _unsettle(connection: AsyncConnection, endpoints: list[str], now: datetime) -> None:
    looked = await reached(connection, CHANGES)
    values = {
        "since": looked - OVERLAP if looked else now - FINAL,
        "final": now - FINAL,
        "overlap": OVERLAP,
        "endpoints": endpoints,
    }
    await connection.execute(_UNSETTLE, values)
    await reach(connection, CHANGES, now)


def _from(start: datetime | None, now: datetime) -> list[datetime]:
    hours = []
    while start is not None and start <= now:
        hours.append(start)
        start += HOUR
    return hours


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
