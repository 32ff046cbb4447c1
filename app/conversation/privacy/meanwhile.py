"""What was said during a handover, where transcripts don't tell: read from its events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.gateway.meaning import AgentMessage, UserInput, interpret
from app.sealing import unseal

_EVENTS = text(
    """
    SELECT payload FROM event
    WHERE conversation_id = :id AND type IN ('MESSAGE', 'ACTIVITY') AND outcome = 'noted'
      AND received_at >= :since AND payload IS NOT NULL
    ORDER BY at, id LIMIT 500
    """
).columns(payload=JSONB)


async def said_meanwhile(
    connection: AsyncConnection, conversation_id: int, since: datetime
) -> list[dict[str, Any]]:
    """The messages of user and agents since then, as the handover's outcome holds them."""
    found: list[dict[str, Any]] = []
    for row in await connection.execute(_EVENTS, {"id": conversation_id, "since": since}):
        meaning = interpret(unseal(row.payload))
        if isinstance(meaning, UserInput):
            found.append({**meaning.message, "author": "user"})
        elif isinstance(meaning, AgentMessage):
            found.append({**meaning.message, "author": "agent"})
    return found
