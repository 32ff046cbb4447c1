"""`parley handovers list`: a row for each handover to human agents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.common import counted, print_json, print_table, read_settings
from app.commands.database import check_endpoints, with_database
from app.commands.deliveries import parse_since

#: Seconds: waiting until the first agent (or the end, or now), handling from then on.
_LIST = text(
    """
    SELECT h.id, h.endpoint, c.external_id AS conversation, h.queue, h.status, h.reason, h.requested_at,
           h.queued_at, h.active_at, h.ended_at, h.transfers, h.agents,
           round(greatest(extract(epoch FROM
               COALESCE(h.active_at, h.ended_at, now()) - h.requested_at), 0)::numeric, 1) AS waiting_seconds,
           CASE WHEN h.active_at IS NOT NULL THEN round(greatest(extract(epoch FROM
               COALESCE(h.ended_at, now()) - h.active_at), 0)::numeric, 1) END AS handling_seconds
    FROM handover h JOIN conversation c ON c.id = h.conversation_id
    WHERE (CAST(:endpoint AS text) IS NULL OR h.endpoint = CAST(:endpoint AS text))
      AND (NOT :open OR h.ended_at IS NULL)
      AND (CAST(:since AS timestamptz) IS NULL OR h.requested_at >= CAST(:since AS timestamptz))
    ORDER BY h.requested_at DESC, h.id DESC LIMIT :limit
    """
)


def run_list(*, endpoint: str | None, only_open: bool, since: str | None, limit: int, as_json: bool) -> None:
    """Print handovers, the newest first. Raises ConfigurationError where `since` is no time."""
    values = {
        "endpoint": endpoint,
        "open": only_open,
        "since": parse_since(since, datetime.now(UTC)) if since else None,
        "limit": limit,
    }

    async def read(engine: AsyncEngine) -> list[dict[str, Any]]:
        async with engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(_LIST, values)).mappings()]

    settings = read_settings()
    check_endpoints(settings, endpoint)
    rows = [_plain(row) for row in with_database(settings, read)]
    if as_json:
        print_json(rows)
        return
    columns = ["id", "endpoint", "conversation", "queue", "status", "reason", "requested_at"]
    measures = ["waiting_seconds", "handling_seconds", "transfers", "agents"]
    shown = [{**row, "agents": ", ".join(row["agents"])} for row in rows]
    kind = "open " if only_open else ""
    print_table(counted(len(rows), f"{kind}handover"), [*columns, *measures], shown)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    seconds = ("waiting_seconds", "handling_seconds")
    return {**row, **{name: None if row[name] is None else float(row[name]) for name in seconds}}
