"""`parley endpoints`: what to enter at 8x8, and whether 8x8 has called."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.common import print_json, print_table, read_endpoints_file, read_settings
from app.commands.database import with_database
from app.endpoints import Endpoint
from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor.ports import reachable

_STATE = text(
    """
    SELECT s.endpoint, s.tenant, s.verified_at, s.paused_at, s.mode,
        (SELECT max(e.received_at) FROM event e WHERE e.endpoint = s.endpoint) AS last_event
    FROM (
        SELECT endpoint, tenant, verified_at, paused_at, mode FROM endpoint_state
        UNION ALL
        SELECT name, NULL, NULL, NULL, 'live' FROM unnest(CAST(:names AS text[])) AS name
        WHERE NOT EXISTS (SELECT 1 FROM endpoint_state x WHERE x.endpoint = name)
    ) s
    """
)


def run(*, as_json: bool) -> None:
    """Print each endpoint. Where no database can be asked, that is said and the rest is printed."""
    settings = read_settings()
    endpoints = read_endpoints_file(settings).endpoints
    states: dict[str, dict[str, Any]] = {}
    trouble = ""
    try:
        states = with_database(settings, lambda engine: _states(engine, [each.name for each in endpoints]))
    except ConfigurationError as error:
        trouble = str(error)
    rows = [row for endpoint in endpoints for row in _rows(endpoint, settings, states.get(endpoint.name, {}))]
    if as_json:
        print_json(rows)
        return
    columns = ["endpoint", "url", "tenant", "bot", "enabled", "mode", "last_verify", "last_event", "paused"]
    print_table("Endpoints", columns, rows)
    if settings.public_url is None:
        print("(these URLs are for this machine; set PARLEY_PUBLIC_URL to see those that 8x8 can reach)")  # noqa: T201
    if trouble:
        print(f"(without verifies and events: {trouble})")  # noqa: T201


async def _states(engine: AsyncEngine, names: list[str]) -> dict[str, dict[str, Any]]:
    async with engine.connect() as connection:
        rows = (await connection.execute(_STATE, {"names": names})).mappings()
        return {row["endpoint"]: dict(row) for row in rows}


def _rows(endpoint: Endpoint, settings: Settings, state: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each token that is valid now."""
    tenant = endpoint.eightxeight.tenant or (f"{state['tenant']} (pinned)" if state.get("tenant") else None)
    enabled = (
        {True: "yes", False: "no"}[endpoint.enabled] if isinstance(endpoint.enabled, bool) else "draining"
    )
    return [
        {
            "endpoint": endpoint.name,
            "url": endpoint_url(settings, token),
            "tenant": tenant,
            "bot": endpoint.flow,
            "enabled": enabled,
            "mode": state.get("mode"),
            "last_verify": state.get("verified_at"),
            "last_event": state.get("last_event"),
            "paused": state.get("paused_at"),
        }
        for token in endpoint.tokens
    ]


def endpoint_url(settings: Settings, token: str) -> str:
    """What to enter at 8x8 as the webhook's URL."""
    base = settings.public_url or f"http://{reachable(settings.host)}:{settings.port}"
    return f"{base.rstrip('/')}/8x8/{token}"
