"""What the lists show: sessions, found by who or what, and dead letters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import BigInteger, DateTime, Text

from app.analytics.hours import endpoints_of
from app.contacts.sealed import identities_of, profile_digests
from app.conversation.privacy.sealed import readable

#: Lines of a page.
PAGE = 50

OUTCOMES = {
    "": "true",
    "contained": "s.contained",
    "handover": "NOT s.contained",
    "failed": "EXISTS (SELECT 1 FROM dialog d WHERE d.session_id = s.session_id "
    "AND d.status IN ('failed', 'diverged'))",
    "undelivered": "s.session_id IN (SELECT d.session_id FROM delivery d WHERE d.status = 'dead')",
}

_SESSIONS = """
    SELECT s.session_id, s.conversation_id, s.endpoint, s.external_id, s.number, s.channel, s.is_test,
        s.started_at, s.last_input_at, s.ended_at, s.outcome, s.contained, s.user_messages, s.bot_messages,
        s.agent_messages, (SELECT k.profile FROM contact k WHERE k.id = s.contact_id) AS profile
    FROM analytics_sessions s
    WHERE {outcome}
      AND (CAST(:before_at AS timestamptz) IS NULL
           OR (s.started_at, s.session_id) < (CAST(:before_at AS timestamptz), :before_id))
      AND (CAST(:endpoints AS text[]) IS NULL OR s.endpoint = ANY(:endpoints))
      AND (CAST(:channel AS text) IS NULL OR s.channel = CAST(:channel AS text))
      {found}
      AND (CAST(:since AS timestamptz) IS NULL OR s.started_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR s.started_at < :until)
    ORDER BY s.started_at DESC, s.session_id DESC LIMIT :most
"""

#: Exactly what was asked for, by indexes alone.
_FOUND = text(
    """
    SELECT id FROM conversation WHERE endpoint = ANY(:all) AND external_id = :q
    UNION SELECT id FROM conversation WHERE id = :number
    UNION SELECT c.id FROM contact k JOIN conversation c ON c.contact_id = k.id
        WHERE k.endpoint = ANY(:all) AND k.identity = ANY(:identities)
    UNION (SELECT c.id FROM contact k JOIN conversation c ON c.contact_id = k.id
        WHERE k.profile @> ANY(CAST(:sealed AS jsonb[])) LIMIT 1000)
    UNION (SELECT c.id FROM contact k JOIN conversation c ON c.contact_id = k.id
        WHERE k.profile @> jsonb_build_object('email', CAST(:q AS text))
           OR k.profile @> jsonb_build_object('phone', CAST(:q AS text))
           OR k.profile @> jsonb_build_object('msisdn', CAST(:q AS text))
           OR k.profile @> jsonb_build_object('name', CAST(:q AS text)) LIMIT 1000)
    LIMIT 1000
    """
).bindparams(
    bindparam("all", type_=ARRAY(Text)),
    bindparam("identities", type_=ARRAY(Text)),
    bindparam("sealed", type_=ARRAY(Text)),
    bindparam("q", type_=Text),
    bindparam("number", type_=BigInteger),
)

_CHANNELS = text("SELECT DISTINCT channel FROM rollup_hour WHERE channel <> '' ORDER BY 1")

_DEAD = text(
    """
    SELECT d.id, d.endpoint, d.conversation_id, c.external_id, d.kind, d.reason, d.attempts, d.created_at,
        d.ended_at, c.is_test
    FROM delivery d JOIN conversation c ON c.id = d.conversation_id
    WHERE d.status = 'dead' AND (CAST(:endpoints AS text[]) IS NULL OR d.endpoint = ANY(:endpoints))
    ORDER BY d.ended_at DESC NULLS LAST, d.id DESC LIMIT :most
    """
).bindparams(bindparam("endpoints", type_=ARRAY(Text)))


@dataclass(frozen=True)
class Search:
    """What is looked for. `before` is the session the page begins behind: when it began, and its number."""

    q: str = ""
    endpoint: str = ""
    channel: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, int] | None = None


async def choices(engine: AsyncEngine) -> tuple[list[str], list[str]]:
    """Endpoints and channels there are."""
    async with engine.connect() as connection:
        endpoints = await endpoints_of(connection)
        return endpoints, list((await connection.execute(_CHANNELS)).scalars())


async def sessions(
    engine: AsyncEngine, search: Search, allowed: Sequence[str] | None
) -> tuple[list[dict[str, Any]], bool]:
    """A page of sessions, the newest first, and whether there are more."""
    endpoints: Sequence[str] | None = allowed
    if search.endpoint:
        endpoints = [search.endpoint] if allowed is None or search.endpoint in allowed else []
    async with engine.connect() as connection:
        found = await _found(connection, search.q) if search.q else None
        condition = "" if found is None else "AND s.conversation_id = ANY(:found)"
        statement = text(_SESSIONS.format(outcome=OUTCOMES[search.outcome], found=condition)).bindparams(
            bindparam("endpoints", type_=ARRAY(Text)),
            bindparam("since", type_=DateTime(timezone=True)),
            bindparam("until", type_=DateTime(timezone=True)),
            bindparam("before_at", type_=DateTime(timezone=True)),
            bindparam("before_id", type_=BigInteger),
            *([bindparam("found", type_=ARRAY(BigInteger))] if found is not None else []),
        )
        values: dict[str, Any] = {
            "before_at": search.before[0] if search.before else None,
            "before_id": search.before[1] if search.before else None,
            "endpoints": None if endpoints is None else list(endpoints),
            "channel": search.channel or None,
            "since": search.since,
            "until": search.until,
            "most": PAGE + 1,
        }
        if found is not None:
            values["found"] = found
        found_rows = (await connection.execute(statement, values)).mappings()
        rows = [{**row, "name": (readable(row["profile"]) or {}).get("name")} for row in found_rows]
    return rows[:PAGE], len(rows) > PAGE


async def _found(connection: AsyncConnection, q: str) -> list[int]:
    endpoints = await endpoints_of(connection)
    number = int(q) if q.isascii() and q.isdigit() and len(q) < 19 else -1
    q = q.replace("\0", "")
    known = [digest for name in ("email", "phone", "name") for digest in profile_digests(name, q)]
    values = {
        "q": q,
        "number": number,
        "all": endpoints,
        "identities": [q, *identities_of(q)],
        "sealed": [json.dumps({"digests": [digest]}) for digest in known],
    }
    return [int(id) for id in (await connection.execute(_FOUND, values)).scalars()]


async def dead_letters(engine: AsyncEngine, allowed: Sequence[str] | None) -> list[dict[str, Any]]:
    """Deliveries that were given up, the newest 200."""
    async with engine.connect() as connection:
        values = {"endpoints": None if allowed is None else list(allowed), "most": 200}
        statement = _DEAD.columns(created_at=TIMESTAMP(timezone=True), ended_at=TIMESTAMP(timezone=True))
        return [dict(row) for row in (await connection.execute(statement, values)).mappings()]
