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

#: By time; things of one moment in the order in which one follows from the other.
#: Each: at, what, about, took (seconds), note (a line), flow_run. No text of anybody.
_HAPPENED = text(
    """
    SELECT at, what, about, took, note, flow_run FROM happening
    WHERE conversation_id = :id AND at >= :since AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
    ORDER BY at, array_position(ARRAY['interaction', 'run', 'webhook', 'turn', 'dialog', 'step', 'mark',
        'file', 'handover', 'agent', 'delivery', 'attempt', 'incident'], what), number, about DESC
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
