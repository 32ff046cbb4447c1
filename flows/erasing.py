"""Prefect's runs of erased conversations, deleted."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from sqlalchemy.ext.asyncio import AsyncEngine

from app.contacts.erased_runs import delete_runs


async def delete_erased_runs(engine: AsyncEngine, *, within: float) -> int:
    """Delete them with their task runs and logs, in so many seconds; how many. Raises what is in the way."""
    async with get_client() as client:

        async def delete(run: UUID) -> None:
            try:
                await client.delete_flow_run(run)
            except ObjectNotFound:
                return

        return await delete_runs(engine, delete, within=within)
