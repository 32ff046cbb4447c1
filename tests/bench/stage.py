"""The processes that are measured: in a data folder and on ports of their own, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from app.database.embedded import EmbeddedPostgres
from app.database.engine import connect
from app.database.schema import upgrade
from app.settings import Settings
from app.supervisor import parts
from app.supervisor.part import Part, spawn
from app.supervisor.ports import free_port
from app.supervisor.supervisor import Supervisor
from tests.bench import usage

REPOSITORY = Path(__file__).parents[2]

#: Two endpoints, since one may have 200 open conversations only.
ENDPOINTS = ("bench-a", "bench-b")

_ENDPOINT = """
  - name: {name}
    token: {name}-token-0123456789
    flow: flows.bots.echo:echo
    eightxeight:
      base_url: http://127.0.0.1:{sandbox}
      api_key: {name}-key-0123456789
      tenant: {name}
"""


@dataclass(frozen=True)
class Stage:
    """Where everything is."""

    settings: Settings
    environment: dict[str, str]

    @property
    def home(self) -> Path:
        """The data folder."""
        return self.settings.home

    @property
    def sandbox_url(self) -> str:
        """The sandbox."""
        return f"http://127.0.0.1:{self.settings.sandbox_port}"

    @property
    def database_url(self) -> str:
        """The embedded database."""
        return EmbeddedPostgres(self.home).url

    async def ask(self, query: str, *values: object) -> int:
        """A number from the database."""
        connection: asyncpg.Connection[asyncpg.Record] = await connect(self.database_url, application="bench")
        try:
            return int(await connection.fetchval(query, *values) or 0)
        finally:
            await connection.close()


def _place(home: Path) -> Stage:
    """Free ports and the endpoints' file in a new data folder."""
    settings = Settings(
        home=home / "parley",
        host="127.0.0.1",
        port=free_port(),
        admin_port=free_port(),
        sandbox_port=free_port(),
        prefect_port=free_port(),
        endpoints=home / "endpoints.yaml",
    )
    listed = "".join(_ENDPOINT.format(name=name, sandbox=settings.sandbox_port) for name in ENDPOINTS)
    settings.endpoints.write_text(f"endpoints:{listed}")
    environment = {
        "PARLEY_HOME": str(settings.home),
        "PARLEY_PORT": str(settings.port),
        "PARLEY_ADMIN_PORT": str(settings.admin_port),
        "PARLEY_SANDBOX_PORT": str(settings.sandbox_port),
        "PARLEY_PREFECT_PORT": str(settings.prefect_port),
        "PARLEY_ENDPOINTS": str(settings.endpoints),
    }
    return Stage(settings, environment)


def forget_environment() -> None:
    """What this shell has set for Parley or Prefect must not change what is measured."""
    for name in [name for name in os.environ if name.startswith(("PARLEY_", "PREFECT_"))]:
        del os.environ[name]


@contextmanager
def _new_place() -> Iterator[Stage]:
    home = Path(tempfile.mkdtemp(prefix="parley-bench-"))
    home.chmod(0o755)  # PostgreSQL may run as another user
    try:
        yield _place(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def everything(more: Mapping[str, str] | None = None, *, ahead: bool = False) -> AsyncIterator[Stage]:
    """`parley up` in its ordinary configuration, once it is ready and its deployments are made.

    `ahead` lets it run before everything else on this machine; Prefect's part of it stays last.
    """
    with _new_place() as stage:
        up_log = stage.home.parent / "up.log"
        log = up_log.open("wb")
        process = await asyncio.create_subprocess_exec(
            *parts.parley(),
            "up",
            env={**os.environ, **stage.environment, **(more or {})},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(120):
                while b"Parley is ready" not in (line := await process.stdout.readline()):
                    if not line:
                        raise RuntimeError(up_log.read_text()[-2000:])
            if ahead:
                usage.go_ahead(prefect=usage.AHEAD)
            await until(lambda: b"flows_deployed" in up_log.read_bytes(), within=120)
            await asyncio.sleep(1.0)
            if ahead:
                usage.go_ahead()
            yield stage
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()
            log.close()


@asynccontextmanager
async def some(*, naive: bool, ahead: bool = False) -> AsyncIterator[Stage]:
    """Database, receiver and sandbox, without a worker; or with the naive one and a Prefect server."""
    with _new_place() as stage:
        supervisor = Supervisor()
        kept: list[Part] = []

        def keep(part: Part) -> Part:
            kept.append(part)
            supervisor.keep(part)
            return part

        try:
            settings = stage.settings
            if naive:
                keep(parts.prefect_server(settings))
            await supervisor.until_ready(keep(parts.postgres(settings)))
            await upgrade(stage.database_url)
            environment = {**stage.environment, "PARLEY_DATABASE_URL": stage.database_url}
            keep(parts.receiver(settings, environment))
            keep(parts.sandbox(settings, environment))
            await supervisor.until_ready(*kept)
            if naive:
                command = [sys.executable, "-m", "tests.bench.naive"]
                log = stage.home / "naive.log"
                keep(Part("naive worker", lambda: spawn(command, environment, log=log, folder=REPOSITORY)))
                try:
                    await until(lambda: log.exists() and b"ready" in log.read_bytes(), within=60)
                except TimeoutError:
                    raise RuntimeError(log.read_text()[-2000:]) from None
            if ahead:
                usage.go_ahead()
            yield stage
        finally:
            for part in reversed(kept):
                await supervisor.stop(part, within=5)


async def until(condition: Callable[[], bool], *, within: float) -> None:
    """Wait for a condition. Raises TimeoutError."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what the benchmark waits for did not happen")
        await asyncio.sleep(0.1)
