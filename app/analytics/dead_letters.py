"""Deliveries that were given up, without what was said. Those of test conversations are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import DateTime, Text

from app.analytics.reached import DEAD_LETTERS, reach, reached

_DEAD = text(
    """
    SELECT d.id AS delivery, d.endpoint, c.external_id AS conversation, d.kind, d.reason, d.attempts,
           d.ended_at
    FROM delivery d JOIN conversation c ON c.id = d.conversation_id
    WHERE d.status = 'dead' AND NOT c.is_test AND d.ended_at >= :since
      AND (CAST(:endpoints AS text[]) IS NULL OR d.endpoint = ANY(:endpoints))
    ORDER BY d.ended_at DESC, d.id DESC LIMIT :most
    """
).bindparams(bindparam("since", type_=DateTime(timezone=True)), bindparam("endpoints", type_=ARRAY(Text)))

_NUMBERS = text(
    """
    SELECT d.endpoint, count(*) AS number
    FROM delivery d JOIN conversation c ON c.id = d.conversation_id
    WHERE d.status = 'dead' AND NOT c.is_test AND d.ended_at < :until
      AND (CAST(:since AS timestamptz) IS NULL OR d.ended_at >= :since)
    GROUP BY 1 ORDER BY 1
    """
).bindparams(
    bindparam("since", type_=DateTime(timezone=True)), bindparam("until", type_=DateTime(timezone=True))
)

#: What died so recently may not be committed yet: it is told of next time.
SETTLING = timedelta(minutes=1)


@dataclass(frozen=True)
class DeadLetter:
    """One of them."""

    delivery: int
    endpoint: str
    conversation: str
    kind: str
    reason: str
    attempts: int
    ended_at: datetime


async def dead_letters(
    engine: AsyncEngine, *, since: datetime, endpoints: Sequence[str] | None = None, most: int = 500
) -> list[DeadLetter]:
    """Those that died since then, the newest first."""
    async with engine.connect() as connection:
        values = {"since": since, "endpoints": list(endpoints) if endpoints else None, "most": most}
        rows = (await connection.execute(_DEAD, values)).mappings()
        return [DeadLetter(**row) for row in rows]


async def tell_dead_letters(engine: AsyncEngine, tell: Callable[[str, int], None], *, now: datetime) -> int:
    """Tell of each endpoint how many died since the last time, however long ago that was; how many in all."""
    until = now - SETTLING
    async with engine.connect() as connection:
        since = await reached(connection, DEAD_LETTERS)
        found = (await connection.execute(_NUMBERS, {"since": since, "until": until})).all()
    for endpoint, number in found:
        tell(endpoint, number)
    async with engine.begin() as connection:
        await reach(connection, DEAD_LETTERS, until)
    return sum(number for _, number in found)
