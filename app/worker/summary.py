"""What a session has come to when one of its runs ends, in ids and numbers: for an artifact of the run."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

_SUMMARY = text(
    """
    SELECT s.conversation_id AS conversation, s.number AS session, r.number AS run,
        (SELECT count(*) FROM event e WHERE e.conversation_id = s.conversation_id
            AND e.session_id = s.id AND e.outcome = 'input') AS turns,
        m.users AS "messages of the user", m.bots AS "messages of the bot", m.agents AS "messages of agents",
        d.sent AS "deliveries sent", d.retries, d.open AS "deliveries open", d.dead AS "dead letters",
        d.latency AS "mean milliseconds from said to sent",
        (SELECT count(*) FROM dialog g WHERE g.session_id = s.id) AS dialogs,
        (SELECT count(*) FROM dialog g WHERE g.session_id = s.id AND g.status IN ('failed', 'diverged'))
            AS "dialogs failed",
        (SELECT count(*) FROM handover h WHERE h.conversation_id = s.conversation_id AND h.session_id = s.id)
            AS handovers
    FROM session_run r JOIN session s ON s.id = r.session_id,
    LATERAL (SELECT count(*) FILTER (WHERE x.author = 'user') AS users,
            count(*) FILTER (WHERE x.author = 'bot') AS bots,
            count(*) FILTER (WHERE x.author = 'agent') AS agents
        FROM message x WHERE x.session_id = s.id) m,
    LATERAL (SELECT count(*) FILTER (WHERE x.status = 'sent') AS sent,
            COALESCE(sum(GREATEST(x.attempts - 1, 0)), 0) AS retries,
            count(*) FILTER (WHERE x.status IN ('waiting', 'sending', 'in_doubt')) AS open,
            count(*) FILTER (WHERE x.status = 'dead') AS dead,
            CAST(avg(extract(epoch FROM x.sent_at - x.created_at)) * 1000 AS bigint) AS latency
        FROM delivery x WHERE x.conversation_id = s.conversation_id AND x.session_id = s.id) d
    WHERE r.flow_run_id = :flow_run
    """
).bindparams(bindparam("flow_run", type_=Uuid))


async def summary(engine: AsyncEngine, flow_run: UUID) -> str | None:
    """A table in markdown; None where the run has no row."""
    async with engine.connect() as connection:
        row = (await connection.execute(_SUMMARY, {"flow_run": flow_run})).mappings().one_or_none()
    if row is None:
        return None
    lines = [f"| {name} | {value} |" for name, value in row.items() if value is not None]
    return "\n".join(["| of the session so far | |", "| --- | ---: |", *lines])
