"""8x8's interactions of a conversation, kept once asked for: its own Event Log can be joined by them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import DateTime

from app.gateway.client import Interaction

_KEEP = text(
    """
    INSERT INTO interaction (conversation_id, interaction_id, started_at, ended_at)
    SELECT id, :interaction, :started_at, :ended_at FROM conversation WHERE id = :conversation
    ON CONFLICT (conversation_id, interaction_id) DO UPDATE SET
        started_at = COALESCE(EXCLUDED.started_at, interaction.started_at),
        ended_at = COALESCE(EXCLUDED.ended_at, interaction.ended_at), asked_at = now()
    """
).bindparams(
    bindparam("conversation", type_=BigInteger),
    bindparam("interaction", type_=Text),
    bindparam("started_at", type_=DateTime(timezone=True)),
    bindparam("ended_at", type_=DateTime(timezone=True)),
)


async def keep(engine: AsyncEngine, conversation: int, known: Sequence[Interaction]) -> None:
    """Keep what 8x8 told of a conversation (Parley's number). Raises what the database raises."""
    if not known:
        return
    async with engine.begin() as connection:
        values = [
            {
                "conversation": conversation,
                "interaction": each.id,
                "started_at": each.started_at,
                "ended_at": each.ended_at,
            }
            for each in known
        ]
        await connection.execute(_KEEP, values)
