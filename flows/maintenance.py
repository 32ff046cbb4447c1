"""Flows that ops see and start in Prefect: the scheduled sweep, and redriving dead deliveries.

Deployed by prefect.yaml. They run in processes of their own, so they find the database as every command does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.deliveries import max_ages
from app.conversation import redrive as redriving
from app.database.engine import TOOL, create_engine
from app.database.location import find_database
from app.endpoints_file import load_endpoints
from app.maintenance import numbers
from app.maintenance import sweep as sweep_rows
from app.settings import Settings
from flows.erasing import delete_erased_runs

#: Seconds for deleting the runs of erased conversations; what is left waits for the next sweep.
_ERASING = 60.0


@flow(persist_result=False)
async def sweep(retain_days: int | None = None) -> dict[str, int]:
    """Delete what endpoints keep no longer, close runs that dead workers left, delete those of the erased.

    Events and journals go after `retain_days` (PARLEY_RETAIN_DAYS) at the latest; endpoints.yaml may
    say less.
    """
    settings = Settings()
    endpoints = load_endpoints(settings.endpoints).endpoints if settings.endpoints.exists() else []
    async with _engine(settings) as engine:
        swept = await sweep_rows(engine, retain_days=retain_days or settings.retain_days, endpoints=endpoints)
        for run in swept.runs:
            await _mark_crashed(run)
        await delete_erased_runs(engine, within=_ERASING)
    get_run_logger().info("swept: %s", numbers(swept))
    return numbers(swept)


@flow(persist_result=False)
async def redrive(
    endpoint: str | None = None,
    deliveries: list[int] | None = None,
    since: datetime | None = None,
    may_duplicate: bool = False,
) -> dict[str, list[int]]:
    """Send dead deliveries after all: by number, by endpoint, or those that died since a time.

    Those that died in doubt may have arrived: they are sent again only with `may_duplicate`.
    """
    if endpoint is None and not deliveries and since is None:
        raise ValueError("Say which: endpoint, deliveries or since")
    settings = Settings()
    async with _engine(settings) as engine:
        result = await redriving.redrive(
            engine,
            ids=deliveries or None,
            endpoint=endpoint,
            since=since,
            may_duplicate=may_duplicate,
            max_age=max_ages(settings),
        )
    found = {"redriven": result.redriven, "in_doubt": result.in_doubt, "not_dead": result.not_dead}
    get_run_logger().info("redriven: %s", found)
    return found


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(find_database(settings), TOOL, application="parley-maintenance")
    try:
        yield engine
    finally:
        await engine.dispose()


async def _mark_crashed(run: UUID) -> None:
    async with get_client() as client:
        try:
            await client.set_flow_run_state(run, Crashed(message="Its worker ended"), force=True)
        except ObjectNotFound:
            get_run_logger().info("run %s is no longer known to Prefect", run)
