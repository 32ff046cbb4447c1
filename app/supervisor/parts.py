"""Which parts there are, their command lines, and how each is known to be ready."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from pathlib import Path

import asyncpg

from app.database.embedded import EmbeddedPostgres
from app.database.engine import connect
from app.errors import ConfigurationError
from app.prefect_environment import prefect_environment, prefect_server_environment
from app.processes import give_way
from app.settings import Settings
from app.supervisor.part import Part, Process, spawn
from app.supervisor.ports import http_answers

#: The process pool that scheduled flows run in.
WORK_POOL = "parley"

#: Priority of everything that isn't on a reply's way.
LOW = 15

WORKER_ALIVE = "SELECT count(*) FROM worker WHERE pid = $1 AND stopped_at IS NULL AND alive_until > now()"

REPOSITORY = Path(__file__).parents[2]


def postgres(settings: Settings) -> Part:
    """The embedded database."""
    server = EmbeddedPostgres(settings.home)

    def start() -> Process:
        server.prepare()
        return server.start()

    async def ready(process: Process) -> bool:
        return server.ready()

    return Part("PostgreSQL", start, ready, stop_signal=signal.SIGINT, log=server.log)


def receiver(settings: Settings, environment: dict[str, str]) -> Part:
    """`parley serve`."""

    async def ready(process: Process) -> bool:
        public, admin = await asyncio.gather(
            http_answers(settings.host, settings.port, "/health"),
            http_answers(settings.admin_host, settings.admin_port, "/ready"),
        )
        return public and admin

    return Part("receiver", lambda: spawn([*parley(), "serve"], environment), ready)


def worker(settings: Settings, environment: dict[str, str], database_url: str) -> Part:
    """`parley work`: ready once its row in the database is alive."""

    async def ready(process: Process) -> bool:
        try:
            connection = await connect(database_url, application="parley-up")
            try:
                return bool(await connection.fetchval(WORKER_ALIVE, process.pid))
            finally:
                await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False  # the database is away for a moment; the caller asks again

    variables = {**prefect_environment(settings), **environment}
    return Part("worker", lambda: spawn([*parley(), "work"], variables), ready)


def sandbox(settings: Settings, environment: dict[str, str]) -> Part:
    """`parley sandbox`."""

    async def ready(process: Process) -> bool:
        return await http_answers("127.0.0.1", settings.sandbox_port, "/sandbox/api/health")

    return Part("sandbox", lambda: spawn([*parley(), "sandbox"], environment), ready)


def prefect_server(settings: Settings) -> Part:
    """`prefect server start`."""
    variables = prefect_server_environment(settings)
    log = log_file(settings, "prefect-server")
    command = [program("prefect"), "server", "start"]

    async def ready(process: Process) -> bool:
        answers = await http_answers("127.0.0.1", settings.prefect_port, "/api/health")
        if answers:  # only now, or on a busy machine it would take minutes to start
            give_way(process.pid, settings.prefect_niceness)
        return answers

    niceness = settings.prefect_niceness
    return Part(
        "Prefect server", lambda: spawn(command, variables, niceness=niceness, log=log), ready, log=log
    )


def prefect_worker(settings: Settings, environment: dict[str, str]) -> Part:
    """`prefect worker start`: runs the scheduled flows, each as a process of its own."""
    variables = {**prefect_environment(settings), **environment}
    log = log_file(settings, "prefect-worker")
    command = [program("prefect"), "worker", "start", "--pool", WORK_POOL, "--type", "process"]
    folder = REPOSITORY if (REPOSITORY / "prefect.yaml").exists() else None
    return Part(
        "Prefect worker", lambda: spawn(command, variables, niceness=LOW, log=log, folder=folder), log=log
    )


async def pool_is_there(settings: Settings) -> bool:
    """Whether the server that `parley up` starts knows the pool: the Prefect worker makes it."""
    return await http_answers("127.0.0.1", settings.prefect_port, f"/api/work_pools/{WORK_POOL}")


def deploy(settings: Settings, environment: dict[str, str]) -> Process | None:
    """Start `parley deploy`; None where there is no such file (an installed wheel)."""
    if not (REPOSITORY / "prefect.yaml").exists():
        return None
    variables = {**prefect_environment(settings), **environment}
    log = log_file(settings, "prefect-deploy")
    return spawn([*parley(), "deploy"], variables, niceness=LOW, log=log, folder=REPOSITORY)


def log_file(settings: Settings, name: str) -> Path:
    """The log of a part that isn't Parley's own; begun anew at each start of `parley up`."""
    folder = settings.home.expanduser().absolute() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def parley() -> list[str]:
    """How this very Parley is called."""
    beside = Path(sys.executable).with_name("parley")
    if beside.exists():
        return [str(beside)]
    return [sys.executable, "-m", "app.cli"]


def parley_for_people() -> str:
    """How a person calls this Parley from the folder they are in."""
    found = shutil.which("parley")
    path = Path(parley()[0])
    if found is not None and Path(found).resolve() == path.resolve():
        return "parley"
    if len(parley()) > 1:
        return " ".join(parley())
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def program(name: str) -> str:
    """A program of this Python environment. Raises ConfigurationError where it isn't there."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ConfigurationError(f"there is no program {name}; is Parley installed with all it needs?")
    return found
