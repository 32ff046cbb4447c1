"""No dead air: every message of a user is followed by a reply of the bot, by a human, or by an incident.

Each message is looked at once, when it is as old as its endpoint's `dead_air` allows. Every worker looks; an
incident is unique for its event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversation.handover.opening import cancels
from app.conversation.services import utc_now
from app.endpoints import Endpoint
from app.gateway.meaning import UserInput, interpret
from app.sealing import unseal

log = structlog.get_logger(__name__)

#: Seconds between two looks.
EVERY = 10.0
#: How far back the first look goes, and one after a long absence of the database.
LOOK_BACK = timedelta(minutes=10)

# Probes of indexes, for each message of the stretch; the newest of a conversation's deliveries is enough to
# know whether anything was said since. What counts as a human: an agent who had the conversation meanwhile,
# or a queue that 8x8 confirmed. A sealed payload is opened by us: it may be no user's message at all.
_LOOK = text(
    """
    WITH message AS (
        SELECT e.id, e.endpoint, e.conversation_id, e.received_at, e.processed_at, e.payload
        FROM unnest(CAST(:endpoints AS text[]), CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[]))
            AS w(endpoint, since, until)
        JOIN event e ON e.endpoint = w.endpoint AND e.received_at > w.since AND e.received_at <= w.until
        WHERE e.conversation_id IS NOT NULL AND e.type IN ('MESSAGE', 'ACTIVITY')
          AND (e.outcome IS NULL OR e.outcome IN ('input', 'noted'))
          AND (e.payload ? 'sealed'
            OR e.type = 'ACTIVITY' AND e.payload #>> '{data,name}' NOT IN ('typing', 'read-receipts')
            OR e.type = 'MESSAGE' AND lower(e.payload #>> '{data,sender,type}') = 'user')
    ), judged AS (
        SELECT m.*, CASE
            WHEN m.processed_at IS NULL THEN 'unhandled'
            WHEN EXISTS (
                SELECT 1 FROM delivery d
                WHERE d.conversation_id = m.conversation_id AND d.event_id = m.id AND d.kind = 'message'
                  AND d.status IN ('waiting', 'sending', 'in_doubt')) THEN 'unsent'
            WHEN (
                SELECT d.sent_at FROM delivery d
                WHERE d.conversation_id = m.conversation_id AND d.kind = 'message' AND d.sent_at IS NOT NULL
                ORDER BY d.place DESC LIMIT 1) >= m.received_at THEN NULL
            WHEN EXISTS (
                SELECT 1 FROM handover h
                WHERE h.conversation_id = m.conversation_id
                  AND (h.active_at IS NOT NULL OR h.queued_at IS NOT NULL)
                  AND (h.ended_at IS NULL OR h.ended_at >= m.received_at)) THEN NULL
            ELSE 'unanswered' END AS why
        FROM message m
    )
    SELECT id, endpoint, conversation_id, payload, why FROM judged WHERE why IS NOT NULL
    """
).columns(payload=JSONB)

_REPORT = text(
    """
    INSERT INTO incident (kind, endpoint, conversation_id, event_id, detail)
    VALUES ('dead_air', :endpoint, :conversation, :event, jsonb_build_object('why', CAST(:why AS text)))
    ON CONFLICT DO NOTHING
    RETURNING id
    """
)


def _wants_an_answer(row: Any) -> bool:
    """Whether it is a user's message, and not just the button of a handover that is over already."""
    meaning = interpret(unseal(row.payload))
    if not isinstance(meaning, UserInput) or meaning.is_activity:
        return False
    return row.why != "unanswered" or not cancels(meaning.message)


class DeadAir:
    """One worker's watch over these endpoints."""

    def __init__(
        self,
        engine: AsyncEngine,
        endpoints: Mapping[str, Endpoint],
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._endpoints = endpoints
        self._now = now
        self._looked = now() - LOOK_BACK

    async def look(self) -> int:
        """Look at the messages that came of age since the last look; how many incidents were made."""
        limits = {  # as endpoints.yaml says now
            name: timedelta(seconds=endpoint.dead_air)
            for name, endpoint in self._endpoints.items()
            if endpoint.dead_air > 0
        }
        if not limits:
            return 0
        now = self._now()
        since = max(self._looked, now - LOOK_BACK)
        values = {
            "endpoints": list(limits),
            "since": [since - limit for limit in limits.values()],
            "until": [now - limit for limit in limits.values()],
        }
        made = 0
        async with self._engine.begin() as connection:
            for row in await connection.execute(_LOOK, values):
                if _wants_an_answer(row):
                    made += await self._report(connection, row)
        self._looked = now
        return made

    async def _report(self, connection: AsyncConnection, row: Any) -> int:
        values = {
            "endpoint": row.endpoint,
            "conversation": row.conversation_id,
            "event": row.id,
            "why": row.why,
        }
        if (await connection.execute(_REPORT, values)).one_or_none() is None:
            return 0  # another worker was first
        log.warning("dead_air", endpoint=row.endpoint, conversation=row.conversation_id, why=row.why)
        return 1
