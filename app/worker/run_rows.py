"""session_run rows: Prefect's runs, beside the sessions they belong to."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

_OPENED = text(
    """
    WITH numbered AS (UPDATE session SET runs = GREATEST(runs, :number) WHERE id = :session)
    INSERT INTO session_run (session_id, conversation_id, worker_id, number, flow_run_id, name, opened_at)
    SELECT :session, c.id, :worker, :number, :flow_run,
        CASE WHEN c.external_id LIKE 'erased:%' THEN 'erased' ELSE :name END, :opened_at
    FROM conversation c WHERE c.id = :conversation
    ON CONFLICT (session_id, number) DO NOTHING
    """
).bindparams(bindparam("flow_run", type_=Uuid))

_CLOSED = text(
    """
    UPDATE session_run SET ended_at = now(), state = :state, turns = :turns, retries = :retries
    WHERE flow_run_id = :flow_run AND ended_at IS NULL
    """
).bindparams(bindparam("flow_run", type_=Uuid))


async def opened(
    engine: AsyncEngine,
    *,
    session: int,
    conversation: int,
    worker: int,
    number: int,
    flow_run: UUID,
    name: str,
    opened_at: datetime,
) -> None:
    """A run of the session is open."""
    async with engine.begin() as connection:
        await connection.execute(
            _OPENED,
            {
                "session": session,
                "conversation": conversation,
                "worker": worker,
                "number": number,
                "flow_run": flow_run,
                "name": name,
                "opened_at": opened_at,
            },
        )


async def closed(engine: AsyncEngine, *, flow_run: UUID, state: str, turns: int, retries: int) -> None:
    """The run has ended."""
    async with engine.begin() as connection:
        await connection.execute(
            _CLOSED, {"flow_run": flow_run, "state": state, "turns": turns, "retries": retries}
        )
