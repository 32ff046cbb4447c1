"""Whose conversation it is: worker rows, claims and releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

_REGISTER = text(
    """
    INSERT INTO worker (host, pid, process_started, alive_until)
    VALUES (:host, :pid, :started, now() + :lease) RETURNING id
    """
)

_RENEW = text(
    """
    UPDATE worker w SET alive_until = now() + :lease, stats = :stats
    FROM worker before WHERE w.id = :worker AND before.id = w.id
    RETURNING before.alive_until < now() AS lapsed
    """
).bindparams(bindparam("stats", type_=JSONB))

_STOP = text("UPDATE worker SET stopped_at = now(), alive_until = now() WHERE id = :worker")

#: Whose end was not written in time. What is still owned will be taken over, and its run with it.
_STOP_RUNS = text(
    """
    UPDATE session_run r SET state = 'Completed', ended_at = now()
    WHERE r.worker_id = :worker AND r.ended_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM conversation c WHERE c.id = r.conversation_id AND c.owner = :worker)
    """
)

_SIBLINGS = text(
    """
    SELECT id, pid, process_started FROM worker
    WHERE host = :host AND alive_until > now() AND stopped_at IS NULL
    """
)

_BURY = text("UPDATE worker SET alive_until = now() WHERE id = ANY(:workers)")

#: What this worker still hosts it doesn't claim, also where it has lost it: first that comes to its end.
_FREE = """
    c.due_at <= now() AND c.id <> ALL(:hosted) AND (
        c.owner IS NULL
        OR c.owner = :worker
        OR NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = c.owner AND w.alive_until > now())
    )
"""

#: An owner that died is one more death. After the first, only a conversation whose turn had begun (see
#: quarantine.py) is blamed for the next.
_CLAIM = text(
    f"""
    WITH wanted AS (
        SELECT id, owner FROM (
            SELECT picked.id, picked.owner FROM unnest(CAST(:endpoints AS text[]), CAST(:slots AS int[]))
                AS room(endpoint, slots)
            CROSS JOIN LATERAL (
                SELECT c.id, c.owner FROM conversation c
                WHERE c.endpoint = room.endpoint AND {_FREE}
                ORDER BY c.due_at LIMIT room.slots FOR NO KEY UPDATE OF c SKIP LOCKED
            ) picked
            LIMIT 100  -- else the planner expects so many that it reads the whole table
        ) few
        LIMIT :most
    )
    UPDATE conversation c SET owner = :worker, epoch = c.epoch + 1,
        deaths = CASE
            WHEN wanted.owner IS NULL OR wanted.owner = :worker THEN c.deaths
            WHEN c.deaths = 0 THEN 1
            WHEN c.trial_epoch = c.epoch THEN c.deaths + 1
            ELSE c.deaths END
    FROM wanted WHERE c.id = wanted.id
    RETURNING c.id, c.endpoint, c.epoch, c.deaths, wanted.owner AS previous
    """  # noqa: S608 - no value is put into the text
)

#: LATERAL, so that each endpoint is looked up in the index, also beside thousands due of another.
_WANTED = text(
    f"""
    SELECT room.endpoint FROM unnest(CAST(:endpoints AS text[])) AS room(endpoint)
    CROSS JOIN LATERAL (
        SELECT 1 FROM conversation c WHERE c.endpoint = room.endpoint AND {_FREE} ORDER BY c.due_at LIMIT 1
    ) due
    """  # noqa: S608 - no value is put into the text
)

_OWN_DUE = text("SELECT id FROM conversation WHERE owner = :worker AND due_at <= now()")

#: What went wrong would go wrong again at once: the next try has to wait, longer each time.
_RELEASE = text(
    """
    UPDATE conversation SET owner = NULL, deaths = deaths + :failed,
        due_at = CASE WHEN :trouble
            THEN GREATEST(due_at, now() + make_interval(secs => 0.25 * power(2, LEAST(deaths, 8))))
            ELSE due_at END
    WHERE id = :id AND epoch = :epoch AND owner = :worker
    RETURNING COALESCE(due_at <= now(), false) AS due
    """
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A conversation that is this worker's now."""

    conversation_id: int
    endpoint: str
    epoch: int
    take_over: bool
    deaths: int = 0
    """Owners that died without a committed turn, as far as it is blamed for them."""


async def register(
    connection: AsyncConnection, *, host: str, pid: int, started: float, lease: timedelta
) -> int:
    """Insert this worker's row; its id."""
    values = {"host": host, "pid": pid, "started": started, "lease": lease}
    return int((await connection.execute(_REGISTER, values)).scalar_one())


async def renew(
    connection: AsyncConnection, worker: int, lease: timedelta, stats: Mapping[str, Any] | None = None
) -> bool:
    """Say that the worker is alive, and what it has counted so far; true where others took it for dead."""
    values = {"worker": worker, "lease": lease, "stats": dict(stats or {})}
    return bool((await connection.execute(_RENEW, values)).scalar_one())


async def stop(connection: AsyncConnection, worker: int) -> None:
    """Say that the worker has ended in good order, and so have its runs."""
    await connection.execute(_STOP_RUNS, {"worker": worker})
    await connection.execute(_STOP, {"worker": worker})


async def siblings(connection: AsyncConnection, host: str) -> list[tuple[int, int, float | None]]:
    """Workers of this host that are said to be alive: (id, pid, when that process started)."""
    rows = await connection.execute(_SIBLINGS, {"host": host})
    return [(row.id, row.pid, row.process_started) for row in rows]


async def bury(connection: AsyncConnection, workers: Sequence[int]) -> None:
    """End the lease of workers known to be dead, so that nobody waits for it."""
    await connection.execute(_BURY, {"workers": list(workers)})


async def claim(
    connection: AsyncConnection,
    worker: int,
    slots: Mapping[str, int],
    hosted: Sequence[int],
    *,
    most: int = 100,
) -> list[Claim]:
    """Claim conversations that are due, longest due first, at most `slots` of each endpoint, `most` in all.

    Where that is too few for all endpoints, the first ones get them.
    """
    values = {
        "most": most,
        "endpoints": list(slots),
        "slots": list(slots.values()),
        "worker": worker,
        "hosted": list(hosted),
    }
    return [
        Claim(row.id, row.endpoint, row.epoch, row.previous not in (None, worker), row.deaths)
        for row in await connection.execute(_CLAIM, values)
    ]


async def wanted(
    connection: AsyncConnection, worker: int, endpoints: Sequence[str], hosted: Sequence[int]
) -> list[str]:
    """Which of these endpoints have a conversation that is due and nobody's."""
    values = {"endpoints": list(endpoints), "worker": worker, "hosted": list(hosted)}
    return list((await connection.execute(_WANTED, values)).scalars())


async def own_due(connection: AsyncConnection, worker: int) -> list[int]:
    """The worker's own conversations that are due."""
    return list((await connection.execute(_OWN_DUE, {"worker": worker})).scalars())


async def release(
    connection: AsyncConnection, worker: int, conversation_id: int, epoch: int, *, trouble: bool, failed: bool
) -> bool:
    """Give a conversation back; true when it is due again already.

    `trouble`: it could not be handled, and is tried again after 0.25 s at least; `failed`: by its own fault,
    which counts as a death, and doubles the pause up to a minute.
    """
    values = {
        "id": conversation_id,
        "epoch": epoch,
        "worker": worker,
        "trouble": trouble,
        "failed": int(failed),
    }
    return bool((await connection.execute(_RELEASE, values)).scalar_one_or_none())
