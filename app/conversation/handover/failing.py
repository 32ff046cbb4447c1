"""8x8 does not take an assignment: what was to follow it is withheld, and the handover hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversation.ids import Ids
from app.conversation.state import TimerState
from app.database.tables import metadata

_WITHHOLD = text(
    """
    UPDATE delivery SET status = 'withheld', ended_at = now(), next_attempt_at = NULL,
        reason = 'the handover failed'
    WHERE conversation_id = :id AND status = 'waiting'
        AND CAST(content->>'handover' AS bigint) = :handover
    """
)

_TIMER = insert(metadata.tables["timer"])


async def assignment_failed(
    connection: AsyncConnection, ids: Ids, conversation_id: int, content: Mapping[str, Any], now: datetime
) -> TimerState:
    """Write a timer that is due at once: the conversation's next turn ends the handover. It is returned."""
    await connection.execute(_WITHHOLD, {"id": conversation_id, "handover": content.get("handover")})
    timer = TimerState(ids.take(), "handover_failed", now, None, None)
    await connection.execute(
        _TIMER,
        {"id": timer.id, "conversation_id": conversation_id, "kind": timer.kind, "due_at": timer.due_at},
    )
    return timer
