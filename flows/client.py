"""Prefect as a worker asks it. To import this takes longer than all the rest of a worker's start.

Facts about prefect 3.8 that this rests on (docs/decisions has the measurements): a run that was created first
and has no name template starts in about 60 ms; clients entered once and kept save every run from building its
own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import copy_context
from datetime import datetime
from inspect import isawaitable
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.events.worker import EventsWorker
from prefect.flow_engine import run_flow_async
from prefect.states import Crashed, Pending

from flows.conversation import conversation, handed
from flows.run import PrefectRun


class Client:
    """What a worker asks of Prefect."""

    def __init__(self, api: PrefectClient, folder: Path) -> None:
        """`folder` is where Prefect would keep results. To be made where the clients are entered."""
        self._api = api
        self._flow = conversation.with_options(result_storage=folder.resolve())
        self._context = copy_context()

    async def create(self, run: PrefectRun) -> FlowRun:
        """Create the flow run."""
        async with asyncio.timeout(20.0):
            return await self._api.create_flow_run(
                self._flow, name=run.name, tags=run.tags, parameters={}, state=Pending()
            )

    async def run(self, run: PrefectRun, flow_run: FlowRun) -> None:
        """Run the flow until it returns, apart from whatever runs here."""
        await asyncio.create_task(self._run(run, flow_run), context=self._context.copy())

    async def _run(self, run: PrefectRun, flow_run: FlowRun) -> None:
        with handed(run) as inbox:
            await run_flow_async(
                self._flow, flow_run=flow_run, parameters={"inbox": inbox}, return_type="state"
            )

    async def running(self, tags: list[str], before: datetime) -> set[UUID]:
        """Runs with these tags that began before then and have not ended."""
        wanted = {
            "tags": {"all_": tags},
            "state": {"type": {"any_": [StateType.RUNNING]}},
            "start_time": {"before_": before},
        }
        return await self._found(wanted)

    async def cancelled(self, ids: Iterable[UUID]) -> set[UUID]:
        """Those of the runs that somebody cancelled."""
        states = [StateType.CANCELLING, StateType.CANCELLED]
        return await self._found({"id": {"any_": list(ids)}, "state": {"type": {"any_": states}}})

    async def _found(self, wanted: dict[str, object]) -> set[UUID]:
        runs = await self._api.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))
        return {run.id for run in runs}

    async def mark_crashed(self, flow_run: UUID) -> None:
        """Say of a run that its worker died."""
        state: State[None] = Crashed(message="Its worker died; the conversation went on in another run.")
        await self._api.set_flow_run_state(flow_run, state, force=True)

    async def keep(self, flow_run: UUID, markdown: str) -> None:
        """Keep a summary as the run's artifact."""
        artifact = ArtifactCreate(
            type="markdown", description="The session", data=markdown, flow_run_id=flow_run
        )
        async with asyncio.timeout(20.0):
            await self._api.create_artifact(artifact)


@asynccontextmanager
async def entered(folder: Path) -> AsyncIterator[Client]:
    """Enter the clients that all runs share; at the end Prefect's queue of events runs empty first."""
    logging.getLogger("prefect.flow_runs").addFilter(_untrue)
    async with AsyncClientContext.get_or_create() as context:
        with SyncClientContext.get_or_create():
            yield Client(context.client, folder)
            if isawaitable(drained := EventsWorker.drain_all()):  # it is, where a loop runs
                await drained


def _untrue(record: logging.LogRecord) -> bool:
    """Prefect says of a run that it could not be told the end of: "Finished in state Running()", an error."""
    return not record.getMessage().startswith("Finished in state Running")
