"""The scheduled sweep: what is old is deleted, what a dead worker left open is closed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.endpoints import Endpoint
from app.retention import BATCH, Keep, by_batches, clear, keep_of

_ENDPOINTS = text("SELECT DISTINCT endpoint FROM conversation")

_TIMERS = text(
    """
    DELETE FROM timer WHERE id IN (
        SELECT id FROM timer WHERE ended_at < now() - make_interval(days => :days) LIMIT :batch)
    """
)

_WORKERS = text(
    """
    DELETE FROM worker w WHERE w.alive_until < now() - make_interval(days => :days)
      AND NOT EXISTS (SELECT 1 FROM conversation c WHERE c.owner = w.id)
    """
)

#: A run whose worker is gone. One that is taken over is closed by its new owner; this is for the rest.
_RUNS = text(
    """
    UPDATE session_run r SET state = 'Crashed', ended_at = now()
    WHERE r.ended_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM worker w
        WHERE w.id = r.worker_id AND w.stopped_at IS NULL AND w.alive_until > now() - interval '1 minute')
    RETURNING r.flow_run_id
    """
)


@dataclass
class Swept:
    """How many rows of each kind were cleared; `runs` are the Prefect runs left behind."""

    bodies: int = 0
    journal_entries: int = 0
    dialog_data: int = 0
    sessions: int = 0
    deliveries: int = 0
    handovers: int = 0
    incident_details: int = 0
    transcripts: int = 0
    dialogs: int = 0
    marks: int = 0
    incidents: int = 0
    counts: int = 0
    profiles: int = 0
    files: int = 0
    timers: int = 0
    workers: int = 0
    runs: list[UUID] = field(default_factory=list)


async def sweep(
    engine: AsyncEngine, *, retain_days: int, endpoints: Iterable[Endpoint] = (), batch: int = BATCH
) -> Swept:
    """Clear what is too old, `batch` rows a transaction, and close runs left behind.

    `endpoints` say how long each keeps what; one that has conversations but isn't among them keeps events for
    `retain_days` and everything else for ever.
    """
    async with engine.begin() as connection:
        names = list((await connection.execute(_ENDPOINTS)).scalars())
        left = [run for run in (await connection.execute(_RUNS)).scalars() if run is not None]
        gone = (await connection.execute(_WORKERS, {"days": retain_days})).rowcount
    keeps = {endpoint.name: keep_of(endpoint, retain_days) for endpoint in endpoints}
    for name in names:
        keeps.setdefault(name, Keep(name, retain_days, None, None, None, retain_days))
    done = await clear(engine, keeps.values(), batch=batch)
    timers = await by_batches(engine, _TIMERS, batch, days=retain_days)
    return Swept(**done, timers=timers, workers=gone, runs=left)


def numbers(swept: Swept) -> dict[str, int]:
    """The counts alone, as a run may show them."""
    counts = {each.name: getattr(swept, each.name) for each in fields(swept) if each.name != "runs"}
    return {**counts, "runs": len(swept.runs)}
