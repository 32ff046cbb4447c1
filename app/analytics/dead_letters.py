"""Deliveries that were given up, without what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import DateTime, Text

_DEAD = text(
    """
    SELECT d.id AS delivery, d.endpoint, c.external_id AS conversation, d.kind, d.reason, d.attempts,
           d.ended_at
    FROM delivery d JOIN conversation c ON c.id = d.conversation_id
    WHERE d.status = 'dead' AND d.ended_at >= :since
      AND (CAST(:endpoints AS text[]) IS NULL OR d.endpoint = ANY(:endpoints))
    ORDER BY d.ended_at DESC, d.id DESC LIMIT :most
    """
).bindparams(bindparam("since", type_=DateTime(timezone=True)), bindparam("endpoints", type_=ARRAY(Text)))


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
