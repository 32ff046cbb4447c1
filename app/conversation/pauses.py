"""Endpoints whose deliveries stand still because 8x8 refused the key (401 or 403).

An incident tells ops. Deliveries wait, whatever their age, until the key in endpoints.yaml has changed or a
probe (one delivery a minute) passes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.endpoints import Endpoint

#: Between two probes of a paused endpoint.
PROBE_EVERY = timedelta(seconds=60)

_READ = text("SELECT endpoint, paused_key FROM endpoint_state WHERE paused_at IS NOT NULL")

_PAUSE = text(
    """
    INSERT INTO endpoint_state (endpoint, paused_at, paused_key, probe_at)
    VALUES (:endpoint, now(), :key, now() + :every)
    ON CONFLICT (endpoint) DO UPDATE
        SET paused_at = COALESCE(endpoint_state.paused_at, now()), paused_key = :key,
            probe_at = now() + :every
    RETURNING paused_at = now() AS new
    """
)

_PROBE = text(
    """
    UPDATE endpoint_state SET probe_at = now() + :every
    WHERE endpoint = :endpoint AND paused_at IS NOT NULL AND probe_at <= now()
    RETURNING endpoint
    """
)

_PROBE_DUE = text("SELECT 1 FROM endpoint_state WHERE endpoint = :endpoint AND probe_at <= now()")

_RESUME = text(
    """
    WITH resumed AS (
        UPDATE endpoint_state SET paused_at = NULL, paused_key = NULL, probe_at = NULL
        WHERE endpoint = :endpoint AND paused_at IS NOT NULL RETURNING endpoint
    ), closed AS (
        UPDATE incident i SET resolved_at = now() FROM resumed
        WHERE i.endpoint = resumed.endpoint AND i.kind = 'endpoint_paused' AND i.resolved_at IS NULL
    )
    SELECT endpoint FROM resumed
    """
)

#: Conversations of a resumed endpoint with a delivery that waits become due at once. They are locked first,
#: as everywhere, and in a transaction of their own: who has a conversation may wait for its endpoint. What is
#: being handled just now is left out, and looks by itself.
_LOCK_WAITING = text(
    """
    SELECT c.id FROM conversation c WHERE c.id IN (
        SELECT d.conversation_id FROM delivery d
        WHERE d.endpoint = :endpoint AND d.status = 'waiting' AND d.next_attempt_at > now())
    ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED
    """
)
_WAKE_DELIVERIES = text(
    """
    UPDATE delivery SET next_attempt_at = now()
    WHERE conversation_id = ANY(:ids) AND status = 'waiting' AND next_attempt_at > now()
    """
)
_WAKE_CONVERSATIONS = text("UPDATE conversation SET due_at = now() WHERE id = ANY(:ids)")


def fingerprint(endpoint: Endpoint) -> str:
    """Tells one API key from another without keeping it."""
    return hashlib.sha256(endpoint.eightxeight.api_key.get_secret_value().encode()).hexdigest()[:16]


class Pauses:
    """Which endpoints are paused, as this worker last read it; the database decides."""

    def __init__(self, engine: AsyncEngine, endpoints: Mapping[str, Endpoint]) -> None:
        self._engine = engine
        self._endpoints = endpoints
        self._paused: set[str] = set()

    def paused(self, endpoint: str) -> bool:
        """Whether deliveries of the endpoint stand still."""
        return endpoint in self._paused

    async def refresh(self) -> None:
        """Read the state again; endpoints whose key has changed since go on at once."""
        async with self._engine.connect() as connection:
            rows = {row.endpoint: row.paused_key for row in await connection.execute(_READ)}
        for name, key in rows.items():
            endpoint = self._endpoints.get(name)
            if endpoint is not None and key != fingerprint(endpoint):
                await self.resume(name)
        self._paused = {
            name
            for name, key in rows.items()
            if name not in self._endpoints or key == fingerprint(self._endpoints[name])
        }

    async def pause(self, connection: AsyncConnection, endpoint: Endpoint) -> bool:
        """Stop the endpoint's deliveries, in the caller's transaction; true when it was going until now."""
        row = (
            await connection.execute(
                _PAUSE, {"endpoint": endpoint.name, "key": fingerprint(endpoint), "every": PROBE_EVERY}
            )
        ).one()
        self._paused.add(endpoint.name)
        return bool(row.new)

    async def may_probe(self, connection: AsyncConnection, endpoint: str) -> bool:
        """True for the one delivery a minute that tries whether the endpoint answers again."""
        row = await connection.execute(_PROBE, {"endpoint": endpoint, "every": PROBE_EVERY})
        return row.one_or_none() is not None

    async def probe_due(self, connection: AsyncConnection, endpoint: str) -> bool:
        """Whether `may_probe` would say yes now."""
        return (await connection.execute(_PROBE_DUE, {"endpoint": endpoint})).one_or_none() is not None

    async def resume(self, endpoint: str) -> None:
        """Let the endpoint's deliveries go on."""
        async with self._engine.begin() as connection:
            resumed = (await connection.execute(_RESUME, {"endpoint": endpoint})).one_or_none()
        self._paused.discard(endpoint)
        if resumed is None:
            return
        async with self._engine.begin() as connection:
            rows = await connection.execute(_LOCK_WAITING, {"endpoint": endpoint})
            waiting = {"ids": list(rows.scalars())}
            await connection.execute(_WAKE_DELIVERIES, waiting)
            await connection.execute(_WAKE_CONVERSATIONS, waiting)

    @staticmethod
    def next_look(now: datetime) -> datetime:
        """When a delivery of a paused endpoint looks again."""
        return now + timedelta(seconds=15)
