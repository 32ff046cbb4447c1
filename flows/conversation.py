"""Prefect's side of a conversation: one flow run for each lively stretch of a session.

The run waits for work; each turn is a task run (turn_runs.py), and so are steps and retries. Prefect
holds ids, names and durations: no text, no result. The worker never waits for Prefect with a reply (see
runs.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol

import structlog
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from app.conversation.services import FETCH_PAUSES, FETCHES, Attempt, PlainHost, Work
from app.errors import ParleyError
from app.worker.runs import Job, Retrying
from flows.turn_runs import turn_run

log = structlog.get_logger(__name__)

#: A delivery that could not be settled within this many tries of one task comes back through `due_at`.
RETRIES = 8


class StepDidNotRun(ParleyError):
    """The step did not come to an end."""


class FileNotThere(ParleyError):
    """The file could not be had this time."""


class DeliveryUnsettled(ParleyError):
    """The delivery is not settled yet."""


class Inbox(Protocol):
    """What a run takes its work from."""

    async def next(self) -> Job | Retrying | None:
        """The next turn or delivery to retry; None: end."""

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the run."""


#: What tasks are to do, by the number they are given: Prefect sees the number only.
_work: dict[int, Any] = {}
_numbers = count(1)


@contextmanager
def handed(what: Any) -> Iterator[int]:
    """A number under which a task finds `what`."""
    number = next(_numbers)
    _work[number] = what
    try:
        yield number
    finally:
        del _work[number]


class PrefectHost:
    """Runs the steps of a turn as task runs of the open flow run."""

    async def step(self, name: str, work: Work) -> None:
        """Run a bot's step."""
        begun: list[bool] = []

        async def once() -> None:
            begun.append(True)
            await work()

        try:
            with handed(once) as number:
                await step(name, number)
        except Exception:
            if begun:
                raise
            await work()  # Prefect could not run it: the step runs all the same

    async def fetch(self, attempt: Attempt) -> None:
        """Try to have a file, up to FETCHES times."""
        tries = 0

        async def once() -> bool:
            nonlocal tries
            tries += 1
            return await attempt()

        try:
            with handed(once) as number:
                await fetch(number)
        except Exception:
            if tries == 0:  # Prefect could not run it
                await PlainHost().fetch(attempt)
            elif tries < FETCHES:
                raise


@task(
    name="fetch file",
    task_run_name="fetch file",
    retries=FETCHES - 1,
    retry_delay_seconds=list(FETCH_PAUSES),
    cache_policy=NO_CACHE,
    persist_result=False,
)
async def fetch(number: int) -> None:
    """One file that the user sent."""
    if not await _work[number]():
        raise FileNotThere


@task(name="step", task_run_name="{step_name}", cache_policy=NO_CACHE, persist_result=False)
async def step(step_name: str, number: int) -> None:
    """One step of a bot."""
    try:
        await _work[number]()
    except Exception as error:
        raise StepDidNotRun(f"The step did not come to an end: {type(error).__name__}") from None


@task(
    name="retry delivery",
    task_run_name="retry {what}",
    retries=RETRIES,
    retry_delay_seconds=0,  # the attempt itself waits for its time: Retry-After and backoff decide
    cache_policy=NO_CACHE,
    persist_result=False,
)
async def retry(what: str, number: int) -> None:
    """Try a delivery until it is settled."""
    retrying: Retrying = _work[number]
    if not await retrying.attempt():
        raise DeliveryUnsettled


@flow(name="conversation", persist_result=False, validate_parameters=False)
async def conversation(inbox: int) -> State[Any] | None:
    """Take turns, and deliveries to retry, until the session's run is over."""
    source: Inbox = _work[inbox]
    turns = 0
    retries: list[asyncio.Task[None]] = []
    while (job := await source.next()) is not None:
        if not job.take():
            continue
        if isinstance(job, Job):
            turns += 1
            await _turn(job, turns)
        else:
            retries.append(asyncio.create_task(_retry(job)))
    await asyncio.gather(*retries)
    return Cancelled(message="Cancelled from outside.") if source.cancelled else None


async def _turn(job: Job, turn_number: int) -> None:
    """Run a turn, once, whatever becomes of its task run. Its asker hears how it ended."""
    try:
        async with turn_run(turn_number):
            await job.execute(PrefectHost())
    except Exception:
        if not job.begun:
            await job.execute()


async def _retry(retrying: Retrying) -> None:
    """Retry a delivery as a task; what it could not settle comes back later."""
    try:
        with handed(retrying) as number:
            await retry(retrying.what, number)
    except Exception as error:
        log.info("retries_ended", error=type(error).__name__)
    finally:
        retrying.finish()
