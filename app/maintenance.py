"""The scheduled sweep: what is old is deleted, what a dead worker left open is closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

#: Rows a transaction deletes: short enough that nobody waits for its locks.
BATCH = 1000

#: Event ids outlive their bodies: they are the dedupe key.
_BODIES = text(
    """
    UPDATE event SET body = NULL, payload = NULL WHERE id IN (
        SELECT id FROM event
        WHERE endpoint = :endpoint AND received_at < now() - make_interval(days => :days)
          AND processed_at IS NOT NULL AND (body IS NOT NULL OR payload IS NOT NULL)
        ORDER BY received_at LIMIT :batch FOR UPDATE SKIP LOCKED)
    """
)

_ENDPOINTS = text("SELECT DISTINCT endpoint FROM conversation")

#: A dialog's journal goes before the dialog, so that a long one is no long transaction.
_JOURNALS = text(
    """
    DELETE FROM journal WHERE (dialog_id, position) IN (
        SELECT j.dialog_id, j.position FROM journal j JOIN dialog d ON d.id = j.dialog_id
        WHERE d.ended_at < now() - make_interval(days => :days) LIMIT :batch)
    """
)

_DIALOGS = text(
    """
    DELETE FROM dialog WHERE id IN (
        SELECT d.id FROM dialog d WHERE d.ended_at < now() - make_interval(days => :days)
          AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.dialog_id = d.id)
        LIMIT :batch)
    """
)

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
    dialogs: int = 0
    timers: int = 0
    workers: int = 0
    runs: list[UUID] = field(default_factory=list)


async def sweep(engine: AsyncEngine, *, retain_days: int, batch: int = BATCH) -> Swept:
    """Clear what ended over `retain_days` ago, `batch` rows a transaction, and close runs left behind."""
    async with engine.begin() as connection:
        endpoints = list((await connection.execute(_ENDPOINTS)).scalars())
        left = [run for run in (await connection.execute(_RUNS)).scalars() if run is not None]
        gone = (await connection.execute(_WORKERS, {"days": retain_days})).rowcount
    swept = Swept(workers=gone, runs=left)
    for endpoint in endpoints:
        swept.bodies += await _by_batches(engine, _BODIES, retain_days, batch, endpoint=endpoint)
    swept.journal_entries = await _by_batches(engine, _JOURNALS, retain_days, batch)
    swept.dialogs = await _by_batches(engine, _DIALOGS, retain_days, batch)
    swept.timers = await _by_batches(engine, _TIMERS, retain_days, batch)
    return swept


async def _by_batches(
    engine: AsyncEngine, statement: TextClause, days: int, batch: int, **values: str
) -> int:
    """Repeat a statement, a transaction each, until it finds less than a batch; rows in all."""
    total = 0
    while True:
        async with engine.begin() as connection:
            done = (await connection.execute(statement, {"days": days, "batch": batch, **values})).rowcount
        total += done
        if done < batch:
            return total


def numbers(swept: Swept) -> dict[str, int]:
    """The counts alone, as a run may show them."""
    runs: Sequence[UUID] = swept.runs
    return {
        "bodies": swept.bodies,
        "journal_entries": swept.journal_entries,
        "dialogs": swept.dialogs,
        "timers": swept.timers,
        "workers": swept.workers,
        "runs": len(runs),
    }
