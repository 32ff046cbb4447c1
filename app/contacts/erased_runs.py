"""Prefect's runs of erased conversations: their names hold 8x8's id, and names of steps may hold anything.

Their ids stay in `session_run` until Prefect has deleted them: what can't be done at once, the sweep does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

#: Deletes a run of Prefect's with its task runs and logs. That it is gone already is no error.
Delete = Callable[[UUID], Awaitable[None]]

#: One that is open is still being written to.
_LEFT = text(
    """
    SELECT flow_run_id FROM session_run
    WHERE name = 'erased' AND flow_run_id IS NOT NULL AND ended_at IS NOT NULL ORDER BY id
    """
)

_STILL = text("SELECT flow_run_id FROM session_run WHERE flow_run_id = ANY(:runs) ORDER BY id").bindparams(
    bindparam("runs", type_=ARRAY(Uuid))
)

_DONE = text("UPDATE session_run SET flow_run_id = NULL WHERE flow_run_id = ANY(:runs)").bindparams(
    bindparam("runs", type_=ARRAY(Uuid))
)


async def runs_left(engine: AsyncEngine, runs: Sequence[UUID]) -> list[UUID]:
    """Those of these runs that Prefect may still have."""
    async with engine.connect() as connection:
        return list((await connection.execute(_STILL, {"runs": list(runs)})).scalars())


async def delete_runs(engine: AsyncEngine, delete: Delete, *, within: float) -> int:
    """Delete what is left of erased conversations' runs, in so many seconds; how many were deleted.

    Raises what `delete` raises; what was deleted before is done.
    """
    async with engine.connect() as connection:
        left = list((await connection.execute(_LEFT)).scalars())
    done: list[UUID] = []
    try:
        async with asyncio.timeout(within):
            for run in left:
                await delete(run)
                done.append(run)
    finally:
        if done:
            async with engine.begin() as connection:
                await connection.execute(_DONE, {"runs": done})
    return len(done)
