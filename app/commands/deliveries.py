"""`parley deliveries list` and `redrive`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.common import counted, print_json, print_table, read_settings
from app.commands.database import check_endpoints, with_database
from app.conversation.redrive import redrive
from app.endpoints_file import load_endpoints
from app.errors import ConfigurationError
from app.settings import Settings

STATUSES = ("dead", "waiting", "sending", "in_doubt", "sent", "withheld", "all")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_LIST = text(
    """
    SELECT d.id, d.endpoint, c.external_id AS conversation, d.kind, d.status, d.reason, d.attempts,
           d.created_at, d.expires_at, d.next_attempt_at, d.sent_at, d.confirmed_at, d.ended_at
    FROM delivery d JOIN conversation c ON c.id = d.conversation_id
    WHERE (:status = 'all' OR d.status = :status)
      AND (CAST(:endpoint AS text) IS NULL OR d.endpoint = CAST(:endpoint AS text))
    ORDER BY d.id DESC LIMIT :limit
    """
)


def run_list(*, status: str, endpoint: str | None, limit: int, as_json: bool) -> None:
    """Print deliveries of a status, the newest first."""
    if status not in STATUSES:
        raise ConfigurationError(f"--status must be one of {', '.join(STATUSES)}")

    async def read(engine: AsyncEngine) -> list[dict[str, Any]]:
        async with engine.connect() as connection:
            values = {"status": status, "endpoint": endpoint, "limit": limit}
            return [dict(row) for row in (await connection.execute(_LIST, values)).mappings()]

    settings = read_settings()
    check_endpoints(settings, endpoint)
    rows = with_database(settings, read)
    if as_json:
        print_json(rows)
        return
    columns = [
        "id",
        "endpoint",
        "conversation",
        "kind",
        "status",
        "reason",
        "attempts",
        "created_at",
        "ended_at",
    ]
    kind = "" if status == "all" else status.replace("_", " ") + " "
    print_table(counted(len(rows), f"{kind}delivery", f"{kind}deliveries"), columns, rows)


def run_redrive(*, ids: list[int], endpoint: str | None, since: str | None, may_duplicate: bool) -> None:
    """Redrive dead deliveries. Raises ConfigurationError where nothing says which."""
    if not ids and endpoint is None and since is None:
        raise ConfigurationError("say which: ids, --endpoint or --since")
    settings = read_settings()
    check_endpoints(settings, endpoint)
    result = with_database(
        settings,
        lambda engine: redrive(
            engine,
            ids=ids or None,
            endpoint=endpoint,
            since=parse_since(since, datetime.now(UTC)) if since else None,
            may_duplicate=may_duplicate,
            max_age=max_ages(settings),
        ),
    )
    print(f"{len(result.redriven)} redriven{_ids(result.redriven)}")  # noqa: T201
    if result.in_doubt:
        print(  # noqa: T201
            f"{len(result.in_doubt)} left, they may have arrived (--may-duplicate){_ids(result.in_doubt)}"
        )
    if result.not_dead:
        print(f"{len(result.not_dead)} are no dead deliveries{_ids(result.not_dead)}")  # noqa: T201


def max_ages(settings: Settings) -> dict[str, float]:
    """Seconds a delivery may take, by endpoint; empty where endpoints.yaml can't be used here."""
    try:
        endpoints = load_endpoints(settings.endpoints)
    except ConfigurationError:
        return {}
    return {endpoint.name: endpoint.deliveries.max_age for endpoint in endpoints.endpoints}


def parse_since(since: str, now: datetime) -> datetime:
    """`30m`, `2h`, `3d` before `now`, or an ISO 8601 time (UTC unless it says otherwise)."""
    match = re.fullmatch(r"(\d{1,18})([smhd])", since)
    try:
        if match:
            return now - timedelta(**{UNITS[match.group(2)]: int(match.group(1))})
        at = datetime.fromisoformat(since)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ConfigurationError("--since is further back than any date there is") from None
    except ValueError:
        raise ConfigurationError("--since must be such as 30m, 2h, 3d or 2026-01-31T12:00Z") from None


def _ids(ids: list[int]) -> str:
    return f": {', '.join(map(str, ids))}" if ids else ""
