"""SQL of the handover tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, insert, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversation.changes import Changes
from app.conversation.handover.machine import Signal
from app.conversation.state import EndedHandover, HandoverState, Meanwhile
from app.database.tables import metadata
from app.gateway.meaning import AgentMessage, UserInput, interpret
from app.sealing import unseal

_UPDATE = text(
    """
    UPDATE handover SET status = :status, reason = :reason, queued_at = :queued_at, active_at = :active_at,
        ended_at = :ended_at, transfers = :transfers, agents = :agents, signals = :signals,
        inactive_count = :inactive_count, message_events = :message_events
    WHERE id = :handover
    """
).bindparams(*[bindparam(name, type_=JSONB) for name in ("agents", "signals", "message_events")])

_INSERT = insert(metadata.tables["handover"])
_TRANSITION = insert(metadata.tables["handover_transition"])

#: The open handover; else the last one, if the dialog that asked for it has not had its outcome yet.
_CURRENT = text(
    """
    SELECT h.id, h.requested_at, h.events_since, h.queue, h.dialog_id, h.position, h.signals,
        h.inactive_count, h.settings, h.ended_at, h.message_events,
        CASE WHEN h.ended_at IS NULL THEN (
            SELECT d.content FROM delivery d
            WHERE d.conversation_id = h.conversation_id AND d.kind = 'note'
                AND CAST(d.content->>'handover' AS bigint) = h.id
            ORDER BY d.place DESC LIMIT 1) END AS newest_note
    FROM handover h WHERE h.conversation_id = :id
    ORDER BY (h.ended_at IS NULL) DESC, h.requested_at DESC LIMIT 1
    """
).columns(
    signals=JSONB,
    settings=JSONB,
    message_events=JSONB,
    newest_note=JSONB,
    requested_at=TIMESTAMP(timezone=True),
    events_since=TIMESTAMP(timezone=True),
    ended_at=TIMESTAMP(timezone=True),
)

_MESSAGES = (
    text(
        """
    SELECT e.id, e.at, e.payload FROM jsonb_array_elements_text(:events) WITH ORDINALITY AS wanted (id, place)
    JOIN event e ON e.id = CAST(wanted.id AS bigint)
    ORDER BY wanted.place
    """
    )
    .bindparams(bindparam("events", type_=JSONB))
    .columns(payload=JSONB, at=TIMESTAMP(timezone=True))
)

#: What was to be sent for a handover that is over, and hasn't been. (What takes it back is written later.)
_WITHHOLD = text(
    """
    UPDATE delivery SET status = 'withheld', ended_at = now(), next_attempt_at = NULL,
        reason = 'the handover is over'
    WHERE conversation_id = :id AND status = 'waiting'
        AND CAST(content->>'handover' AS bigint) = :handover
    """
)


async def withhold_of_handovers(connection: AsyncConnection, conversation_id: int, changes: Changes) -> None:
    """Withhold what waits to be sent for handovers that were ended from here. Before new deliveries."""
    for handover in changes.handovers_given_up:
        await connection.execute(_WITHHOLD, {"id": conversation_id, "handover": handover})


async def write_handovers(connection: AsyncConnection, changes: Changes) -> None:
    """Write what changed of handovers: what ends first, since at most one is open."""
    for update in changes.handover_updates:
        await connection.execute(_UPDATE, update)
    if changes.handovers:
        await connection.execute(_INSERT, changes.handovers)
    if changes.transitions:
        await connection.execute(_TRANSITION, changes.transitions)


async def _messages(connection: AsyncConnection, events: list[int]) -> list[Meanwhile]:
    """The messages that came with these events."""
    if not events:
        return []
    rows = await connection.execute(_MESSAGES, {"events": events})
    meanings = [(row, interpret(unseal(row.payload or {}))) for row in rows]
    authors = {UserInput: "user", AgentMessage: "agent"}
    return [
        Meanwhile(row.id, row.at, {**meaning.message, "author": authors[type(meaning)]})
        for row, meaning in meanings
        if isinstance(meaning, UserInput | AgentMessage)
    ]


def _noted(content: dict[str, Any] | None) -> list[dict[str, Any]]:
    user = unseal(content or {}).get("user") or {}
    return list(user.get("additionalProperties") or [])


async def last_handover(
    connection: AsyncConnection, conversation_id: int
) -> tuple[HandoverState | None, EndedHandover | None]:
    """The conversation's newest handover, and what is left of it if it has ended."""
    row = (await connection.execute(_CURRENT, {"id": conversation_id})).one_or_none()
    if row is None:
        return None, None
    handover = HandoverState(
        id=row.id,
        requested_at=row.requested_at,
        events_since=row.events_since,
        queue=row.queue,
        dialog_id=row.dialog_id,
        position=row.position,
        signals=[Signal.from_json(signal) for signal in row.signals],
        inactive_count=row.inactive_count,
        settings=unseal(row.settings),
        messages=await _messages(connection, row.message_events),
        noted=_noted(row.newest_note),
    )
    if row.ended_at is None:
        return handover, None
    return handover, EndedHandover.of(handover, row.ended_at)
