"""The story of `parley up`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import IO

import structlog

from app.commands.common import is_sandbox
from app.commands.endpoints import endpoint_url
from app.database.embedded import EmbeddedPostgres
from app.database.engine import wait_until_ready
from app.database.schema import upgrade
from app.endpoints import Endpoints
from app.errors import ConfigurationError
from app.prefect_environment import prefect_api_url
from app.settings import Settings
from app.supervisor import parts
from app.supervisor.deploying import deploy
from app.supervisor.part import Part
from app.supervisor.ports import Port, accepts, check_ports, free_port, reachable
from app.supervisor.supervisor import Supervisor

log = structlog.get_logger(__name__)

#: Seconds everything has to stop, of the 15 that are promised.
STOP_WITHIN = 13.5

READY = "Parley is ready"

#: The part that takes longest to start.
PREFECT = "Prefect server"


class Up:
    """Everything on this machine, from the first process to the last."""

    def __init__(self, settings: Settings, endpoints: Endpoints, *, sandbox: bool) -> None:
        self.settings = with_ports(settings, os.environ)
        self.endpoints = endpoints
        self.wants_sandbox = sandbox
        self.with_sandbox = sandbox and any(is_sandbox(each, settings) for each in endpoints.endpoints)
        self.own_prefect = not os.environ.get("PREFECT_API_URL")
        self.own_database = settings.database_url is None
        self.parts: dict[str, Part] = {}
        self.deploying: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Run until SIGINT or SIGTERM. Raises ConfigurationError for a taken port, a part that fails."""
        check_ports(self.ports())
        lock = self._lock()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, stop.set)
        # A terminal that closes says so by SIGHUP; where there is none it means: read endpoints.yaml again.
        loop.add_signal_handler(signal.SIGHUP, stop.set if sys.stdin.isatty() else self._reload)
        supervisor = Supervisor()
        running = asyncio.create_task(self._run(supervisor))
        try:
            await asyncio.wait(
                {running, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
            if running.done():
                running.result()
            return 0
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self._stop(supervisor)
            if lock is not None:
                lock.close()

    def _reload(self) -> None:
        """Have receiver, worker and sandbox read endpoints.yaml again."""
        for name in ("receiver", "worker", "sandbox"):
            part = self.parts.get(name)
            if part is not None and part.process is not None and part.exit_code() is None:
                part.process.send_signal(signal.SIGHUP)

    def ports(self) -> list[Port]:
        """The ports parts will listen on."""
        s = self.settings
        ports = [Port("PARLEY_PORT", s.host, s.port), Port("PARLEY_ADMIN_PORT", s.admin_host, s.admin_port)]
        if self.with_sandbox:
            ports.append(Port("PARLEY_SANDBOX_PORT", "127.0.0.1", s.sandbox_port))
        if self.own_prefect:
            ports.append(Port("PARLEY_PREFECT_PORT", "127.0.0.1", s.prefect_port))
        return ports

    async def _run(self, supervisor: Supervisor) -> None:
        """Start everything, the slowest first, say that it is ready, and watch until a part can't start."""
        settings = self.settings
        if self.own_prefect:  # it takes longest, and nothing waits for it but the word that all is ready
            self._keep(supervisor, parts.prefect_server(settings))
        url = await self._database(supervisor)
        environment = self._environment(url)
        self._keep(supervisor, parts.receiver(settings, environment))
        self._keep(supervisor, parts.worker(settings, environment, url))
        if self.with_sandbox:
            self._keep(supervisor, parts.sandbox(settings, environment))
        await supervisor.until_ready(*(part for part in self.parts.values() if part.name != PREFECT))
        self._announce()  # bots answer now; Prefect takes some seconds more
        await supervisor.until_ready(*self.parts.values())
        say(f"Prefect: {prefect_api_url(settings).removesuffix('/api')}")
        say(READY)
        self._keep(supervisor, parts.prefect_worker(settings, environment))
        self.deploying = asyncio.create_task(self._deploy(environment))
        await supervisor.failed

    async def _deploy(self, environment: dict[str, str]) -> None:
        async def pool_is_there() -> bool:
            if self.own_prefect:
                return await parts.pool_is_there(self.settings)
            return await accepts(prefect_api_url(self.settings))

        try:
            await deploy(lambda: parts.deploy(self.settings, environment), pool_is_there)
        except Exception as error:
            log.error("flows_not_deployed", error=type(error).__name__, exc_info=True)

    async def _database(self, supervisor: Supervisor) -> str:
        """The database, running and with this version's tables."""
        if self.own_database:
            part = parts.postgres(self.settings)
            self._keep(supervisor, part)
            await supervisor.until_ready(part, within=60)
            url = EmbeddedPostgres(self.settings.home).url
        else:
            url = self.settings.database_url or ""
            try:
                await wait_until_ready(url, within=15)
            except Exception as error:
                raise ConfigurationError(
                    f"PARLEY_DATABASE_URL can't be reached: {type(error).__name__}"
                ) from error
        version = await upgrade(url)
        log.info("database_ready", version=version)
        return url

    def _environment(self, database_url: str) -> dict[str, str]:
        """What every part of Parley's own is told beyond this process's environment."""
        s = self.settings
        return {
            "PARLEY_HOME": str(s.home.expanduser().absolute()),
            "PARLEY_ENDPOINTS": str(s.endpoints.expanduser().absolute()),
            "PARLEY_DATABASE_URL": database_url,
            "PARLEY_PORT": str(s.port),
            "PARLEY_ADMIN_PORT": str(s.admin_port),
            "PARLEY_SANDBOX_PORT": str(s.sandbox_port),
            "PARLEY_PREFECT_PORT": str(s.prefect_port),
        }

    def _keep(self, supervisor: Supervisor, part: Part) -> None:
        self.parts[part.name] = part
        supervisor.keep(part)

    def _announce(self) -> None:
        """Say where things are."""
        s = self.settings
        for endpoint in self.endpoints.endpoints:
            # What isn't a terminal is often kept, as by systemd's journal: no place for a token.
            token = endpoint.tokens[0] if sys.stdout.isatty() else "…"
            say(f"{endpoint.name}: {endpoint_url(s, token)}")
        say(f"health and metrics: http://{reachable(s.admin_host)}:{s.admin_port}/ready")
        say(f"console: http://{reachable(s.admin_host)}:{s.admin_port}/console")
        if self.with_sandbox:
            say(f"sandbox: http://127.0.0.1:{s.sandbox_port}")
            say(f"talk to a bot: {parts.parley_for_people()} chat")
        elif self.wants_sandbox:
            say(f"sandbox: left out, no endpoint has the base_url http://127.0.0.1:{s.sandbox_port}")

    async def _stop(self, supervisor: Supervisor) -> None:
        """Receiver, worker (it gives its conversations back), sandbox, Prefect, PostgreSQL."""
        if self.deploying is not None:
            self.deploying.cancel()
            await asyncio.gather(self.deploying, return_exceptions=True)
        steps = [
            (("receiver", "Prefect worker"), 1.5),
            (("worker",), 10.0),
            (("sandbox", "Prefect server"), 4.0),
            (("PostgreSQL",), 2.0),
        ]
        await supervisor.stop_in_order(
            [
                ([self.parts[name] for name in names if name in self.parts], seconds)
                for names, seconds in steps
            ],
            within=STOP_WITHIN,
        )

    def _lock(self) -> IO[bytes] | None:
        """The data folder, for this process alone; what a killed predecessor left running is stopped."""
        if not self.own_database:
            return None
        server = EmbeddedPostgres(self.settings.home)
        lock = server.locked()
        if lock is None:
            raise ConfigurationError(f"another Parley runs in {self.settings.home}")
        server.stop()
        return lock


def with_ports(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings, with a free port for each that is 0."""
    names: Sequence[str] = ("port", "admin_port", "sandbox_port", "prefect_port")
    free = {name: free_port() for name in names if getattr(settings, name) == 0}
    return settings.model_copy(update=free)


def say(line: str) -> None:
    """A line for the person who started Parley."""
    print(line, flush=True)  # noqa: T201


def main(settings: Settings, endpoints: Endpoints, *, sandbox: bool) -> int:
    """Run everything; the exit code."""
    try:
        return asyncio.run(Up(settings, endpoints, sandbox=sandbox).run())
    except KeyboardInterrupt:
        return 130
    finally:
        sys.stdout.flush()
