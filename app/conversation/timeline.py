"""A conversation as one story: everything that is stored of it, by time. For people, not for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.privacy.sealed import readable

_LIST = text(
    """
    SELECT c.id, c.endpoint, c.external_id, c.channel, c.state, c.control, c.sessions, c.due_at, c.owner,
           c.quarantined_at, d.status AS dialog, e.received_at AS last_event,
           (SELECT count(*) FROM delivery x WHERE x.conversation_id = c.id
              AND x.status IN ('waiting', 'sending', 'in_doubt')) AS undelivered,
           (SELECT count(*) FROM delivery x WHERE x.conversation_id = c.id AND x.status = 'dead') AS dead
    FROM conversation c
    LEFT JOIN dialog d ON d.conversation_id = c.id AND d.ended_at IS NULL
    LEFT JOIN LATERAL (SELECT received_at FROM event e WHERE e.conversation_id = c.id
                       ORDER BY e.id DESC LIMIT 1) e ON true
    WHERE CAST(:endpoint AS text) IS NULL OR c.endpoint = CAST(:endpoint AS text)
    ORDER BY e.received_at DESC NULLS LAST, c.id DESC
    LIMIT :limit
    """
)

_FIND = text(
    """
    SELECT c.*, to_jsonb(k.profile) AS contact
    FROM conversation c LEFT JOIN contact k ON k.id = c.contact_id
    WHERE c.external_id = :name OR CAST(c.id AS text) = :name
    ORDER BY c.external_id = :name DESC, c.id
    """
)

#: Each gives: at, kind, id, summary (a line for people), detail (the rest).
_PARTS = {
    "event": """
        SELECT received_at AS at, id, type || COALESCE(' → ' || outcome, ' (waiting)') AS summary,
            jsonb_build_object('event_id', event_id, 'sent_at', sent_at, 'processed_at', processed_at,
                'late', late, 'retry', retry, 'payload', payload) AS detail
        FROM event WHERE conversation_id = :id""",
    "message": """
        SELECT at, id, author || ': ' || COALESCE(text, '(' || kind || ')') AS summary,
            jsonb_build_object('kind', kind, 'author_id', author_id, 'content', content, 'late', late,
                'delivery', delivery_id, 'event', event_id) AS detail
        FROM message WHERE conversation_id = :id""",
    "session": """
        SELECT started_at AS at, id,
            'session ' || number || COALESCE(', ended: ' || end_reason, '') AS summary,
            jsonb_build_object('data', data, 'ended_at', ended_at, 'last_input_at', last_input_at) AS detail
        FROM session WHERE conversation_id = :id""",
    "dialog": """
        SELECT started_at AS at, id, bot || ' ' || status || COALESCE(': ' || error, '') AS summary,
            jsonb_build_object('ended_at', ended_at) AS detail
        FROM dialog WHERE conversation_id = :id""",
    "journal": """
        SELECT j.at, j.dialog_id AS id,
            j.position || ' ' || j.kind || COALESCE(' ' || j.name, '') AS summary, j.content AS detail
        FROM journal j JOIN dialog d ON d.id = j.dialog_id WHERE d.conversation_id = :id""",
    "delivery": """
        SELECT created_at AS at, id,
            kind || ' ' || status || COALESCE(': ' || reason, '')
                || COALESCE(', confirmed by ' || confirmed_by, '') AS summary,
            jsonb_build_object('place', place, 'attempts', attempts, 'expires_at', expires_at,
                'next_attempt_at', next_attempt_at, 'sent_at', sent_at, 'content', content) AS detail
        FROM delivery WHERE conversation_id = :id""",
    "attempt": """
        SELECT a.started_at AS at, a.delivery_id AS id,
            'attempt ' || a.number || ' ' || COALESCE(a.outcome, 'under way')
                || COALESCE(' (' || a.status_code || ')', '') || COALESCE(': ' || a.error, '') AS summary,
            jsonb_build_object('finished_at', a.finished_at, 'deadline_at', a.deadline_at) AS detail
        FROM delivery_attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.conversation_id = :id""",
    "mark": """
        SELECT at, id, kind || ' ' || value AS summary,
            jsonb_build_object('event', event_id, 'dialog', dialog_id) AS detail
        FROM mark WHERE conversation_id = :id""",
    "timer": """
        SELECT COALESCE(ended_at, due_at) AS at, id, kind || ' ' || COALESCE(outcome, 'open') AS summary,
            jsonb_build_object('due_at', due_at, 'ended_at', ended_at, 'dialog', dialog_id) AS detail
        FROM timer WHERE conversation_id = :id""",
    "run": """
        SELECT opened_at AS at, id, name || ' ' || state || ', ' || turns || ' turns' AS summary,
            jsonb_build_object('flow_run', flow_run_id, 'worker', worker_id, 'ended_at', ended_at,
                'retries', retries) AS detail
        FROM session_run WHERE conversation_id = :id""",
    "handover": """
        SELECT requested_at AS at, id,
            COALESCE('to queue ' || queue, 'taken over') || ' ' || status || COALESCE(': ' || reason, '')
                || CASE WHEN transfers > 0 THEN ', transfers: ' || transfers ELSE '' END AS summary,
            jsonb_build_object('queued_at', queued_at, 'active_at', active_at, 'ended_at', ended_at,
                'agents', agents, 'dialog', dialog_id, 'settings', settings) AS detail
        FROM handover WHERE conversation_id = :id""",
    "transition": """
        SELECT t.at, t.handover_id AS id,
            t.cause || ' → ' || t.status || COALESCE(', agent ' || t.agent_id, '') AS summary,
            jsonb_build_object('event', t.event_id) AS detail
        FROM handover_transition t JOIN handover h ON h.id = t.handover_id WHERE h.conversation_id = :id""",
    "incident": """
        SELECT at, id, kind || CASE WHEN resolved_at IS NULL THEN '' ELSE ' (resolved)' END AS summary, detail
        FROM incident WHERE conversation_id = :id""",
}

#: At the same moment, causes come before effects.
_ORDER = {name: index for index, name in enumerate(("session", "event", "message", "dialog", "journal"))}

_TIMELINE = text(
    " UNION ALL ".join(
        f"SELECT '{name}' AS kind, at, id, summary, detail FROM ({query}) AS {name}"  # noqa: S608
        for name, query in _PARTS.items()
    )
)


@dataclass(frozen=True)
class Happening:
    """A line of a timeline.

    `id` is the row's; of journal entries the dialog's, of attempts the delivery's, of transitions the
    handover's.
    """

    at: datetime
    kind: str
    id: int
    summary: str
    detail: dict[str, Any]


async def list_conversations(
    engine: AsyncEngine, *, endpoint: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Conversations, those with the newest events first."""
    async with engine.connect() as connection:
        rows = await connection.execute(_LIST, {"endpoint": endpoint, "limit": limit})
        return [dict(row) for row in rows.mappings()]


async def find_conversations(engine: AsyncEngine, name: str) -> list[dict[str, Any]]:
    """The conversations with 8x8's id `name`, else Parley's own number."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_FIND, {"name": name})).mappings()
        return [{**row, "contact": readable(row["contact"])} for row in rows]


async def timeline(engine: AsyncEngine, conversation_id: int) -> list[Happening]:
    """Everything that is stored of a conversation, by time."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_TIMELINE, {"id": conversation_id})).all()
    happenings = [
        Happening(row.at, row.kind, row.id, row.summary, readable(row.detail or {})) for row in rows
    ]
    return sorted(happenings, key=lambda each: (each.at, _ORDER.get(each.kind, 9), each.id))
