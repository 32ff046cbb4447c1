"""The inputs of a quarantined conversation, handled after all: once what killed its workers is mended."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import DUE_CHANNEL

#: First, so that no turn of the conversation is under way while its events change.
_LOCK = text("SELECT quarantined_at FROM conversation WHERE id = :id FOR NO KEY UPDATE")

_REVIVE = text(
    """
    UPDATE event SET processed_at = NULL, outcome = NULL, late = false
    WHERE conversation_id = :id AND outcome = 'quarantined' AND body IS NOT NULL
    RETURNING id
    """
)

_FREE = text(
    """
    UPDATE conversation SET quarantined_at = NULL, deaths = 0, trial_epoch = NULL, due_at = now()
    WHERE id = :id
    """
)

_RESOLVE = text(
    """
    UPDATE incident SET resolved_at = now()
    WHERE conversation_id = :id AND kind = 'quarantined' AND resolved_at IS NULL
    """
)

_TELL = text("SELECT pg_notify(:channel, :ids)")


async def redrive_inputs(engine: AsyncEngine, conversation_id: int) -> list[int] | None:
    """Let the events that were set aside wait again, as far as they weren't erased with their session or are
    too old to be kept; their ids, in the order they came.

    None where the conversation is unknown or not quarantined: then nothing changes.
    """
    async with engine.begin() as connection:
        quarantined = (await connection.execute(_LOCK, {"id": conversation_id})).scalar_one_or_none()
        if quarantined is None:
            return None
        events = (await connection.execute(_REVIVE, {"id": conversation_id})).scalars()
        await connection.execute(_FREE, {"id": conversation_id})
        await connection.execute(_RESOLVE, {"id": conversation_id})
    async with engine.begin() as connection:
        await connection.execute(_TELL, {"channel": DUE_CHANNEL, "ids": str(conversation_id)})
    return sorted(events)
