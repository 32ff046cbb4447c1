"""Scheduled flows of the analytics: counts by the hour, runs compared with Prefect, dead letters told of.

Deployed by prefect.yaml. They run in processes of their own and touch no conversation's path.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import State, StateType
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics import rollup, runs
from app.analytics.dead_letters import dead_letters, tell_dead_letters
from app.database.engine import TOOL, create_engine
from app.database.location import find_database
from app.settings import Settings

#: The event that the automation "Parley: dead letters" waits for.
DEAD_LETTERS = "parley.dead-letters"

_ENDS = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
_TYPES = {kind.value.capitalize(): kind for kind in _ENDS}


@flow(persist_result=False)
async def roll_up() -> int:
    """Count the hours that are new or have changed; the number of hours. Also tells of new dead letters."""
    now = datetime.now(UTC)
    async with _engine() as engine:
        done = await rollup.roll_up(engine, now=now)
        dead = await tell_dead_letters(engine, _tell_dead, now=now)
    get_run_logger().info("counted %s hours, the newest %s; %s dead letters", done.hours, done.newest, dead)
    return done.hours


@flow(persist_result=False)
async def reconcile_runs(days: float = 2.0) -> dict[str, int]:
    """Compare the runs of the last `days` with Prefect and correct either side."""
    async with _engine() as engine, get_client() as client:
        done = await runs.reconcile(
            engine, _reader(client), _teller(client), now=datetime.now(UTC), days=days
        )
    get_run_logger().info("compared: %s", asdict(done))
    return asdict(done)


@flow(persist_result=False)
async def report_dead_letters(hours: float = 24.0) -> int:
    """Write the dead letters of the last `hours` into a table artifact, by number and reason; how many."""
    async with _engine() as engine:
        found = await dead_letters(engine, since=datetime.now(UTC) - timedelta(hours=hours))
    await acreate_table_artifact(
        key="dead-letters",
        table=[{**asdict(letter), "ended_at": letter.ended_at.isoformat()} for letter in found],
        description="Deliveries that were given up. `parley deliveries redrive`, the console, or the flow "
        "redrive sends them after all.",
    )
    return len(found)


def _tell_dead(endpoint: str, number: int) -> None:
    resource = {"prefect.resource.id": f"parley.endpoint.{endpoint}", "prefect.resource.name": endpoint}
    emit_event(DEAD_LETTERS, resource=resource, payload={"deliveries": number})


def _reader(client: PrefectClient) -> runs.Read:
    async def read(ids: Sequence[UUID]) -> Mapping[UUID, runs.Known]:
        wanted = FlowRunFilter.model_validate({"id": {"any_": list(ids)}})
        found = await client.read_flow_runs(flow_run_filter=wanted, limit=len(ids))
        return {
            run.id: runs.Known(
                run.state_type.value.capitalize() if run.state_type else "Unknown",
                run.state_type in _ENDS,
                run.end_time,
            )
            for run in found
        }

    return read


def _teller(client: PrefectClient) -> runs.Tell:
    async def tell(run: UUID, state: str) -> None:
        kind = _TYPES.get(state, StateType.CRASHED)
        message = "Its end was not reported when it happened."
        try:
            await client.set_flow_run_state(run, State(type=kind, message=message), force=True)
        except ObjectNotFound:
            get_run_logger().info("run %s is no longer known to Prefect", run)

    return tell


@asynccontextmanager
async def _engine() -> AsyncIterator[AsyncEngine]:
    engine = create_engine(find_database(Settings()), TOOL, application="parley-analytics")
    try:
        yield engine
    finally:
        await engine.dispose()
