"""The processes under test: `parley up` with all its parts, and a second worker beside its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from app.database.engine import connect
from app.sandbox.client import AsyncSandboxClient
from app.settings import Settings
from app.supervisor.ports import http_answers
from tests.acceptance.running import NO_PREFECT, PARLEY, Parley
from tests.bench.stage import ENDPOINTS as BENCH
from tests.bench.stage import Stage as BenchStage

#: Two endpoints, each a tenant of its own at the sandbox.
ENDPOINTS = ("one", "two")
#: And one whose users want a person.
DESK = "faults-desk"

#: A lease shorter than in production, so that there are more take-overs in a minute. (seconds)
LEASE = 6

_ALIVE = "SELECT count(*) FROM worker WHERE pid = $1 AND stopped_at IS NULL AND alive_until > now()"

_BOTS = Path(__file__).with_name("bots.py")


class SecondWorker:
    """`parley work`, started by hand; started again when it was killed."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        variables = {
            **self._parley.variables,
            "PARLEY_DATABASE_URL": self._parley.database_url,
            "PREFECT_API_URL": self._parley.variables.get("PREFECT_API_URL", self._parley.prefect_url),
        }
        with (self._parley.folder / "stderr").open("ab") as log:
            self._process = subprocess.Popen(
                [PARLEY, "work"], env=variables, cwd=self._parley.folder, stderr=log, stdout=log
            )

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Stage:
    """What a run needs to reach: processes, sandbox, database."""

    def __init__(self, parley: Parley) -> None:
        self.parley = parley
        self.second = SecondWorker(parley)
        self.sandbox = AsyncSandboxClient(parley.sandbox_url)
        self.steps = Path(parley.variables["PARLEY_FAULTS_STEPS"])

    @property
    def bench(self) -> BenchStage:
        """The same for the benchmark's load generator."""
        port, sandbox = (int(self.parley.variables[f"PARLEY_{name}"]) for name in ("PORT", "SANDBOX_PORT"))
        return BenchStage(Settings(home=self.parley.home, port=port, sandbox_port=sandbox), {})

    async def kill(self, part: str) -> bool:
        """kill -9 of a part of `parley up`, or of the "second worker"; false when it isn't running."""
        if part == "second worker":
            if self.second.pid is None:
                return False
            self.second.kill()
            return True
        process = await asyncio.to_thread(self.parley.part, part)
        if process is None:
            return False
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    async def answers(self, part: str) -> bool:
        """Whether a part that was killed is there again, and does its work."""
        if part in ("worker", "second worker"):
            process = await asyncio.to_thread(self.parley.part, "worker") if part == "worker" else None
            pid = process.pid if process is not None else None
            if part == "second worker":
                pid = self.second.pid
            return pid is not None and bool((await self.rows(_ALIVE, pid))[0][0])
        if part == "receiver":
            return await http_answers("127.0.0.1", int(self.parley.variables["PARLEY_PORT"]), "/health")
        if part == "PostgreSQL":
            return bool((await self.rows("SELECT true"))[0][0])
        return True  # nothing waits for Prefect

    async def back(self, part: str, *, within: float) -> None:
        """Return once it is there again, or the time is over."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and not await self.answers(part):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.2)

    async def rows(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Rows of Parley's database, once it answers."""
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = await connect(self.parley.database_url, application="faults")
                try:
                    return await connection.fetch(query, *values)
                finally:
                    await connection.close()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)


@asynccontextmanager
async def stage(folder: Path, *, prefect: bool) -> AsyncIterator[Stage]:
    """Everything, once it is ready; nothing of it is left afterwards.

    Without `prefect` the workers are told of a server that isn't there, which saves half the start.
    """
    parley = _parley(folder, prefect=prefect)
    parley.start()
    stage = Stage(parley)
    try:
        await asyncio.to_thread(parley.wait_until_ready)
        stage.second.start()
        yield stage
    finally:
        stage.second.kill()
        await stage.sandbox.close()
        await asyncio.to_thread(parley.kill_everything)


def _parley(folder: Path, *, prefect: bool) -> Parley:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL may run as another user
    shutil.copy(_BOTS, folder / "faults_bots.py")
    variables = {"PARLEY_LEASE": str(LEASE), "PARLEY_FAULTS_STEPS": str(folder / "steps.log")}
    if not prefect:
        variables |= NO_PREFECT
    parley = Parley(folder, variables)
    parley.variables["PARLEY_ENDPOINTS"] = str(_endpoints(folder, parley.variables["PARLEY_SANDBOX_PORT"]))
    return parley


def _endpoints(folder: Path, sandbox_port: str) -> Path:
    """endpoints.yaml (JSON is YAML): ours, and those that the benchmark's load generator knows."""
    ours = [
        _endpoint(f"faults-{name}", f"faults-{name}-token-0123", "faults_bots:scripted") for name in ENDPOINTS
    ]
    ours.append(_endpoint(DESK, f"{DESK}-token-0123", "faults_bots:desk"))
    bench = [_endpoint(name, f"{name}-token-0123456789", "flows.bots.echo:echo") for name in BENCH]
    for each in (*ours, *bench):
        each["eightxeight"]["base_url"] = f"http://127.0.0.1:{sandbox_port}"
    file = folder / "endpoints.yaml"
    file.write_text(json.dumps({"endpoints": [*ours, *bench]}))
    return file


def _endpoint(name: str, token: str, bot: str) -> dict[str, Any]:
    """An endpoint, each a tenant of its own."""
    eightxeight = {"api_key": f"{name}-key-0123456789", "tenant": name}
    return {"name": name, "token": token, "flow": bot, "eightxeight": eightxeight}
