"""The automation "Parley: zombies": a run whose process died, and that nobody takes over, becomes Crashed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.events.schemas.events import ResourceSpecification

from app.prefect_environment import prefect_environment
from app.settings import Settings
from flows.automations import zombies
from tests.acceptance.running import REPOSITORY, eventually
from tests.acceptance.stage import Stage

pytestmark = [pytest.mark.timeout(290), pytest.mark.slow]

#: Instead of three minutes. A run tells of itself every 30 s, Prefect's shortest time.
SHORT = timedelta(seconds=60)

#: What a worker does to have a run: nobody else knows the conversation, so nobody takes it over.
_HOLDS_A_RUN = """
import asyncio, sys
from pathlib import Path
from flows.runs import PrefectRuns

async def main():
    runs = PrefectRuns(Path(sys.argv[1]))
    await runs.start()
    run = runs.open(endpoint="nobody", conversation=sys.argv[2], bot="a:bot", session=1, number=1)
    async with asyncio.timeout(90):
        while not await run.opened(60):  # at once False before Prefect is there
            await asyncio.sleep(0.1)
    print(run.flow_run_id, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@contextmanager
def holding_a_run(stage: Stage, name: str) -> Iterator[tuple[subprocess.Popen[str], UUID]]:
    """A process that has an open run, and the run."""
    home = stage.parley.home
    settings = Settings(home=home, prefect_port=int(stage.parley.variables["PARLEY_PREFECT_PORT"]))
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_A_RUN, str(home / "results"), name],
        env={**stage.parley.variables, **prefect_environment(settings, {})},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, UUID(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()


def of_these_alone(automation: AutomationCore, *runs: UUID) -> dict[str, Any]:
    """The automation, under a name of its own and blind to others' runs."""
    assert isinstance(automation.trigger, EventTrigger)
    names = [f"prefect.flow-run.{run}" for run in runs]
    automation.name = "test: zombies"
    automation.trigger.match = ResourceSpecification({"prefect.resource.id": names})
    found: dict[str, Any] = automation.model_dump(mode="json")
    return found


def state(stage: Stage, run: UUID) -> dict[str, Any]:
    """The run's state in Prefect."""
    found: dict[str, Any] = stage.prefect.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
    return found


def beats(stage: Stage, run: UUID) -> int:
    """How many signs of life Prefect has of the run."""
    wanted = {
        "filter": {
            "event": {"name": ["prefect.flow-run.heartbeat"]},
            "related": {},
            "resource": {"id": [f"prefect.flow-run.{run}"]},
        }
    }
    return len(stage.prefect.post("/events/filter", json=wanted).raise_for_status().json()["events"])


def test_a_run_without_a_sign_of_life_is_marked_crashed_and_a_lively_one_is_not(stage: Stage) -> None:
    with holding_a_run(stage, "dies") as (process, dead), holding_a_run(stage, "lives") as (_, alive):
        made = stage.prefect.post("/automations/", json=of_these_alone(zombies(SHORT), dead, alive))
        id = made.raise_for_status().json()["id"]
        try:
            seen = beats(stage, dead), beats(stage, alive)  # what came before it, an automation doesn't know
            eventually(
                lambda: beats(stage, dead) > seen[0] + 1 and beats(stage, alive) > seen[1] + 1,
                within=120,
                what="signs of life",
            )
            process.kill()
            process.wait()
            assert state(stage, dead)["type"] == "RUNNING", (
                "nothing tells Prefect of a process that is killed"
            )
            eventually(lambda: state(stage, dead)["type"] == "CRASHED", within=150, what="the zombie's end")
            assert "No sign of life" in state(stage, dead)["message"]
            assert state(stage, alive)["type"] == "RUNNING"
        finally:
            stage.prefect.delete(f"/automations/{id}").raise_for_status()
