"""Counts by the hour, kept up to date: `roll_up` computes the hours that are new or not settled.

Each hour is one transaction that replaces its numbers, so a run may stop anywhere, run twice or beside
another. An hour is settled once it is over and nothing that began in it can change any more; it is computed
again when something does change after all (a handover asked for later in a long session, a session that ends
later, a redrive). After `FINAL`, and for an endpoint whose retention has deleted things of the hour, it stays
as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import DateTime, Text

from app.analytics.cleared import cleared_endpoints
from app.analytics.hours import endpoints_of, hours_to_count, settle
from app.analytics.statements import COUNTS, LATENCY, PARTS

#: A look leaves an hour alone that somebody else has counted just now.
FRESH = timedelta(seconds=5)

_AT = DateTime(timezone=True)

#: The row is locked by it, so that two runs take turns at an hour. None: it was counted since `before`.
_BEGIN = text(
    """
    INSERT INTO rollup_progress AS p (hour, computed_at, settled) VALUES (:hour, :now, false)
    ON CONFLICT (hour) DO UPDATE SET computed_at = :now
        WHERE CAST(:before AS timestamptz) IS NULL OR p.computed_at <= :before
    RETURNING p.xmax = 0 AS new
    """
).bindparams(bindparam("hour", type_=_AT), bindparam("now", type_=_AT), bindparam("before", type_=_AT))

_CLEAR = [
    text(f"DELETE FROM {table} WHERE hour = :hour AND endpoint <> ALL(:final)").bindparams(  # noqa: S608
        bindparam("final", type_=ARRAY(Text))
    )
    for table in ("rollup_hour", "rollup_latency", "rollup_part")
]


@dataclass(frozen=True)
class RolledUp:
    """What a run did: hours computed, and the newest of them (None: there is nothing to count yet)."""

    hours: int
    newest: datetime | None


async def roll_up(
    engine: AsyncEngine,
    *,
    now: datetime,
    lately: bool = False,
    on_hour: Callable[[datetime], None] | None = None,
) -> RolledUp:
    """Compute the hours up to `now` (aware) that are new or not settled; `on_hour` is told of each.

    `lately` is for those who look: of the hours that were counted before, the current and the previous one
    alone, unless that has just been done.
    """
    async with engine.begin() as connection:
        endpoints = await endpoints_of(connection)
        hours = await hours_to_count(connection, endpoints, now, lately=lately)
    done: list[datetime] = []
    for hour in hours:
        async with engine.begin() as connection:
            counted = await _compute(connection, hour, endpoints, now, now - FRESH if lately else None)
        if counted:
            done.append(hour)
        if counted and on_hour is not None:
            on_hour(hour)
    return RolledUp(len(done), done[-1] if done else None)


async def _compute(
    connection: AsyncConnection, hour: datetime, endpoints: list[str], now: datetime, before: datetime | None
) -> bool:
    """Replace the hour's numbers; False: that was done since `before`."""
    begun = (
        await connection.execute(_BEGIN, {"hour": hour, "now": now, "before": before})
    ).scalar_one_or_none()
    if begun is None:
        return False
    # What is counted for the first time is counted from what is left.
    final = [] if begun else await cleared_endpoints(connection, hour)
    for statement in _CLEAR:
        await connection.execute(statement, {"hour": hour, "final": final})
    counted = [name for name in endpoints if name not in final]
    for statement in (*COUNTS, LATENCY, *PARTS):
        await connection.execute(statement, {"hour": hour, "endpoints": counted})
    await settle(connection, hour, now)
    return True
