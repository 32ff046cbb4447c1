"""One conversation, a session at a time: the transcript, and everything that happened, by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import DateTime

from app.conversation.privacy.sealed import readable

#: Lines that are shown of a session; who needs more asks OData.
MOST = 1000

_CONVERSATION = text(
    """
    SELECT c.id, c.endpoint, c.external_id, c.channel, c.state, c.control, c.is_test, c.created_at,
        c.sessions, c.quarantined_at, k.profile, k.identity
    FROM conversation c LEFT JOIN contact k ON k.id = c.contact_id WHERE c.id = :id
    """
)

_SESSIONS = text(
    """
    SELECT s.id, s.number, s.started_at, s.last_input_at, s.ended_at, s.end_reason, n.started_at AS next_at
    FROM session s
    LEFT JOIN session n ON n.conversation_id = s.conversation_id AND n.number = s.number + 1
    WHERE s.conversation_id = :id AND s.number = :number
    """
)

_MESSAGES = text(
    """
    SELECT m.id, m.at, m.author, m.author_id, m.kind, m.text, m.late,
        m.content->'quick_replies' AS quick_replies,
        jsonb_typeof(m.content->'card') AS card, d.status AS delivery, d.reason, d.confirmed_at
    FROM message m LEFT JOIN delivery d ON d.id = m.delivery_id
    WHERE m.conversation_id = :id AND (m.session_id = :session OR (m.session_id IS NULL
        AND m.at >= :since AND (CAST(:until AS timestamptz) IS NULL OR m.at < :until)))
    ORDER BY m.at, m.id LIMIT :most
    """
).bindparams(
    bindparam("since", type_=DateTime(timezone=True)), bindparam("until", type_=DateTime(timezone=True))
)

#: Each: at, what, about, took (seconds), note (a line), flow_run. No text of anybody.
_HAPPENED = text(
    """
    SELECT at, what, about, took, note, flow_run FROM (
        SELECT e.received_at AS at, 'webhook' AS what, e.type AS about,
            analytics_seconds(e.received_at, e.processed_at) AS took,
            COALESCE(e.outcome, 'waits') || CASE WHEN e.late THEN ', late' ELSE '' END
                || CASE WHEN e.retry > 0 THEN ', retry ' || e.retry ELSE '' END AS note, 
            CAST(NULL AS uuid) AS flow_run
        FROM event e WHERE e.conversation_id = :id
        UNION ALL
        SELECT e.received_at, 'turn', COALESCE(d.bot, ''),
            (SELECT analytics_seconds(e.received_at, x.sent_at) FROM delivery x
             WHERE x.conversation_id = :id AND x.event_id = e.id AND x.kind = 'message'
             ORDER BY x.place LIMIT 1),
            'until 8x8 took the first reply', NULL
        FROM event e LEFT JOIN dialog d ON d.id = e.dialog_id
        WHERE e.conversation_id = :id AND e.outcome = 'input'
        UNION ALL
        SELECT d.started_at, 'dialog', d.bot, analytics_seconds(d.started_at, d.ended_at),
            d.status || COALESCE(': ' || d.error, ''), NULL
        FROM dialog d WHERE d.conversation_id = :id
        UNION ALL
        SELECT j.at, 'step', j.name, NULL, '', NULL
        FROM journal j JOIN dialog d ON d.id = j.dialog_id WHERE d.conversation_id = :id AND j.kind = 'step'
        UNION ALL
        SELECT d.created_at, 'delivery', d.kind || ' ' || d.id,
            analytics_seconds(d.created_at, d.sent_at),
            d.status || COALESCE(': ' || d.reason, '') || COALESCE(', confirmed by ' || d.confirmed_by, ''),
            NULL
        FROM delivery d WHERE d.conversation_id = :id
        UNION ALL
        SELECT a.started_at, 'attempt', 'delivery ' || a.delivery_id || ', attempt ' || a.number,
            analytics_seconds(a.started_at, a.finished_at),
            COALESCE(a.outcome, 'under way') || COALESCE(' (' || a.status_code || ')', ''), NULL
        FROM delivery_attempt a JOIN delivery d ON d.id = a.delivery_id
        WHERE d.conversation_id = :id AND (a.number > 1 OR a.outcome IS DISTINCT FROM 'sent')
        UNION ALL
        SELECT h.requested_at, 'handover', 'asked for' || COALESCE(', queue ' || h.queue, ''),
            analytics_seconds(h.requested_at, h.ended_at),
            h.status || COALESCE(': ' || h.reason, ''), NULL
        FROM handover h WHERE h.conversation_id = :id
        UNION ALL
        SELECT t.at, CASE WHEN t.cause IN ('joined', 'left', 'wrote') THEN 'agent' ELSE 'handover' END,
            t.cause || COALESCE(' ' || t.agent_id, ''), NULL, t.status, NULL
        FROM handover_transition t JOIN handover h ON h.id = t.handover_id WHERE h.conversation_id = :id
        UNION ALL
        SELECT m.at, 'mark', m.kind || ': ' || m.value, NULL, '', NULL
        FROM mark m WHERE m.conversation_id = :id
        UNION ALL
        SELECT r.opened_at, 'run', r.name, analytics_seconds(r.opened_at, r.ended_at),
            r.state || ', ' || r.turns || ' turns, ' || r.retries || ' retries', r.flow_run_id
        FROM session_run r WHERE r.conversation_id = :id
        UNION ALL
        SELECT i.at, 'incident', i.kind, NULL,
            CASE WHEN i.resolved_at IS NULL THEN 'open' ELSE 'resolved' END,
            NULL
        FROM incident i WHERE i.conversation_id = :id
    ) AS everything
    WHERE at >= :since AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
    ORDER BY at, COALESCE(array_position(ARRAY['run', 'webhook', 'turn', 'dialog'], what), 9)
    LIMIT :most
    """
).bindparams(
    bindparam("since", type_=DateTime(timezone=True)), bindparam("until", type_=DateTime(timezone=True))
)

#: What comes just before a session's first input belongs to it: the conversation's creation, its run.
BEFORE = timedelta(seconds=10)


@dataclass(frozen=True)
class Story:
    """A conversation and one of its sessions (None: it has none yet)."""

    conversation: dict[str, Any]
    session: dict[str, Any] | None
    messages: list[dict[str, Any]]
    happenings: list[dict[str, Any]]


async def read_story(engine: AsyncEngine, id: int, number: int | None) -> Story | None:
    """The conversation with its session of that number (the newest unless told); None: there is none."""
    async with engine.connect() as connection:
        row = (await connection.execute(_CONVERSATION, {"id": id})).mappings().one_or_none()
        if row is None:
            return None
        profile = readable(row["profile"]) or {}
        shown = {name: profile.get(name) for name in ("name", "email", "phone", "language")}
        conversation = {**row, **shown}
        wanted = number or conversation["sessions"]
        found = (await connection.execute(_SESSIONS, {"id": id, "number": wanted})).mappings().one_or_none()
        session = dict(found) if found else None
        first: datetime = session["started_at"] if session else conversation["created_at"]
        span = {
            "id": id,
            "since": first - BEFORE if wanted > 1 else datetime.fromtimestamp(0, first.tzinfo),
            "until": session["next_at"] - BEFORE if session and session["next_at"] else None,
            "most": MOST,
        }
        values = {**span, "session": session["id"] if session else None}
        messages = [dict(row) for row in (await connection.execute(_MESSAGES, values)).mappings()]
        happenings = [dict(row) for row in (await connection.execute(_HAPPENED, span)).mappings()]
    return Story(conversation, session, messages, happenings)
