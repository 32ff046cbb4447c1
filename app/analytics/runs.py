"""`session_run` and Prefect's API brought to agreement: a run deleted, crashed or ended there is so here.

Three things can be wrong: Prefect knows an end that isn't here (somebody changed the run's state, or the
worker died before it wrote), Prefect does not know the run any more, or the end never reached Prefect because
its API was away. Runs of live workers are left alone while they are open: the worker closes them itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import DateTime

#: Runs asked for at a time: Prefect's own limit.
BATCH = 200
#: A run younger than this may not be known to Prefect yet, or its end may be on the way.
YOUNG = timedelta(minutes=2)

_AT = DateTime(timezone=True)

_CANDIDATES = (
    text(
        """
        SELECT r.id, r.flow_run_id, r.state, r.ended_at, w.id IS NOT NULL AS alive
        FROM session_run r
        LEFT JOIN worker w ON w.id = r.worker_id AND w.stopped_at IS NULL AND w.alive_until > now()
        WHERE r.id > :after AND r.flow_run_id IS NOT NULL AND r.opened_at < :young
          AND (r.ended_at IS NULL OR (r.ended_at >= :since AND r.ended_at < :young AND r.state <> 'Deleted'))
        ORDER BY r.id LIMIT :most
        """
    )
    .bindparams(bindparam("young", type_=_AT), bindparam("since", type_=_AT))
    .columns(flow_run_id=Uuid, ended_at=TIMESTAMP(timezone=True))
)

_SET = text(
    """
    UPDATE session_run r SET state = :state, ended_at = COALESCE(r.ended_at, :ended_at),
        turns = GREATEST(r.turns, (
            SELECT count(*) FROM event e WHERE e.conversation_id = r.conversation_id
              AND e.session_id = r.session_id AND e.outcome = 'input' AND e.processed_at >= r.opened_at
              AND e.processed_at <= COALESCE(r.ended_at, :ended_at)))
    WHERE r.id = :id
    """
).bindparams(bindparam("ended_at", type_=_AT))


@dataclass(frozen=True)
class Known:
    """A run as Prefect has it. `ended` says whether its state is an end; `ended_at` may be missing then."""

    state: str
    ended: bool
    ended_at: datetime | None


@dataclass(frozen=True)
class Reconciled:
    """Numbers: runs compared, corrected here, deleted in Prefect, ended in Prefect."""

    compared: int = 0
    corrected: int = 0
    deleted: int = 0
    told: int = 0


#: Runs by their ids; those that Prefect doesn't know are missing.
Read = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, Known]]]
#: Tell Prefect that a run ended in this state.
Tell = Callable[[UUID, str], Awaitable[None]]


async def reconcile(engine: AsyncEngine, read: Read, tell: Tell, *, now: datetime, days: float) -> Reconciled:
    """Compare open runs and those that ended in the last `days` with Prefect, and correct either side."""
    total = Reconciled()
    after = 0
    while True:
        async with engine.connect() as connection:
            values = {
                "after": after,
                "young": now - YOUNG,
                "since": now - timedelta(days=days),
                "most": BATCH,
            }
            rows = (await connection.execute(_CANDIDATES, values)).all()
        if not rows:
            return total
        after = rows[-1].id
        known = await read([row.flow_run_id for row in rows])
        corrected = deleted = told = 0
        for row in rows:
            found = known.get(row.flow_run_id)
            if found is None:
                deleted += await _set(engine, row.id, "Deleted", None if row.alive else now)
            elif found.ended and not (row.ended_at is None and row.alive) and found.state != row.state:
                corrected += await _set(engine, row.id, found.state, found.ended_at or now)
            elif not found.ended and row.ended_at is not None:
                await tell(row.flow_run_id, row.state)
                told += 1
            elif not found.ended and not row.alive:
                corrected += await _set(engine, row.id, "Crashed", now)
                await tell(row.flow_run_id, "Crashed")
        total = Reconciled(
            total.compared + len(rows),
            total.corrected + corrected,
            total.deleted + deleted,
            total.told + told,
        )


async def _set(engine: AsyncEngine, id: int, state: str, ended_at: datetime | None) -> int:
    values = {"id": id, "state": state, "ended_at": ended_at}
    async with engine.begin() as connection:
        return (await connection.execute(_SET, values)).rowcount
