"""A `parley up` of real processes: started, looked into, run to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from app.database.embedded import EmbeddedPostgres
from app.supervisor.ports import free_port
from app.supervisor.up import READY
from app.tls import certificates
from tests.acceptance.prefect_database import place_prefect_database
from tests.forking import FORKS

Value = TypeVar("Value")

REPOSITORY = Path(__file__).parents[2]
PARLEY = Path(sys.executable).with_name("parley")

#: Command lines by which a part's process is known.
PARTS = {
    "receiver": ("parley", "serve"),
    "worker": ("parley", "work"),
    "sandbox": ("parley", "sandbox"),
    "Prefect server": ("prefect", "server"),
    "Prefect worker": ("prefect", "worker"),
    "PostgreSQL": ("postgres", "-D"),
}


#: For those that need no Prefect: they are told of a server that isn't there, which saves half the start.
NO_PREFECT = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}


def eventually(condition: Callable[[], Value], *, within: float, what: str = "it") -> Value:
    """What the condition gives once it holds; an HTTP error counts as not yet.

    The longer it takes the less often it looks: looking takes CPU from what is waited for.
    """
    begun = time.monotonic()
    deadline = begun + within
    while True:
        try:
            if found := condition():
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, f"{what} did not come true within {within:.0f} s"
        time.sleep(min(0.05 + (time.monotonic() - begun) / 10, 0.3))


def answers(url: str) -> bool:
    """Whether it answers with 200. Raises httpx.HTTPError where nobody answers."""
    return httpx.get(url, verify=certificates()).status_code == 200


class Patient(httpx.HTTPTransport):
    """Asks a Prefect server again that has no time (503): on SQLite it says so while others write."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + 60
        while True:
            response = super().handle_request(request)
            if response.status_code != 503 or time.monotonic() > deadline:
                return response
            response.close()
            time.sleep(0.2)


@dataclass
class Parley:
    """One `parley up`: where its parts are, its processes and its logs."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    fresh: bool = False  # whether its Prefect server begins without a database, as on a new machine
    process: subprocess.Popen[bytes] | None = None
    seen: dict[int, psutil.Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        ports = {name: free_port() for name in ("PORT", "ADMIN_PORT", "SANDBOX_PORT", "PREFECT_PORT")}
        self.variables = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("PARLEY_", "PREFECT_"))
            },
            **{f"PARLEY_{name}": str(port) for name, port in ports.items()},
            "PARLEY_HOME": str(self.home),
            "PARLEY_PREFECT_NICENESS": "0",  # tests wait for what it records, also on a busy machine
            "PARLEY_ENDPOINTS": str(REPOSITORY / "endpoints.yaml"),
            "HOME": str(self.folder / "user"),
            **self.environment,
        }
        (self.folder / "user").mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The receiver."""
        return f"http://127.0.0.1:{self.variables['PARLEY_PORT']}"

    @property
    def admin_url(self) -> str:
        """The receiver's other port."""
        return f"http://127.0.0.1:{self.variables['PARLEY_ADMIN_PORT']}"

    @property
    def sandbox_url(self) -> str:
        """The sandbox."""
        return f"http://127.0.0.1:{self.variables['PARLEY_SANDBOX_PORT']}"

    @property
    def prefect_url(self) -> str:
        """The Prefect server's API."""
        return f"http://127.0.0.1:{self.variables['PARLEY_PREFECT_PORT']}/api"

    def prefect(self) -> httpx.Client:
        """A client of the Prefect server's API that waits while the server is busy."""
        return httpx.Client(base_url=self.prefect_url, timeout=30, transport=Patient(verify=certificates()))

    @property
    def database_url(self) -> str:
        """The embedded database."""
        return EmbeddedPostgres(self.home).url

    @property
    def output(self) -> str:
        """What `up` printed so far."""
        return (self.folder / "stdout").read_text()

    @property
    def errors(self) -> str:
        """What `up` and its parts logged so far."""
        return (self.folder / "stderr").read_text()

    def logged_since(self, position: int) -> str:
        """What was logged after that many bytes."""
        return (self.folder / "stderr").read_bytes()[position:].decode(errors="replace")

    def start(self) -> None:
        """Start it; it isn't ready yet."""
        if not self.fresh:
            place_prefect_database(self.home)
        with (self.folder / "stdout").open("ab") as out, (self.folder / "stderr").open("ab") as err:
            self.process = subprocess.Popen(
                [PARLEY, "up", *self.arguments], stdout=out, stderr=err, env=self.variables, cwd=self.folder
            )

    def wait_until_ready(self, *, within: float = 150.0) -> None:
        """Return when it says that it is ready."""

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"up ended:\n{self.errors}"
            return READY in self.output.splitlines()

        eventually(ready, within=within, what=READY)
        self.processes()

    def run(
        self, *arguments: str, input: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run another `parley` command against it, with these variables of its own."""
        environment = {**self.variables, **variables}
        if input is None:
            return FORKS.run(arguments, env=environment, cwd=self.folder)
        return subprocess.run(
            [PARLEY, *arguments],
            env=environment,
            cwd=self.folder,
            input=input,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        """`up` and everything below it, now."""
        assert self.process is not None
        try:
            top = psutil.Process(self.process.pid)
            found = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            found = []
        self.seen.update({each.pid: each for each in found})
        return found

    def part(self, name: str) -> psutil.Process | None:
        """The process of a part, if it runs."""
        wanted = PARTS[name]
        for each in self.processes()[1:]:
            try:
                words = [Path(word).name for word in each.cmdline()]
                alive = each.status() != psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            if alive and any(tuple(words[at : at + 2]) == wanted for at in range(len(words))):
                return each
        return None

    def left_behind(self) -> list[str]:
        """Command lines of processes that were seen and still run."""
        left = []
        for each in self.seen.values():
            try:
                if each.is_running() and each.status() != psutil.STATUS_ZOMBIE:
                    left.append(" ".join(each.cmdline()))
            except psutil.Error:
                continue
        return left

    def stop(self, sign: signal.Signals = signal.SIGTERM, *, within: float = 30.0) -> int:
        """Ask it to stop and wait; the exit code."""
        assert self.process is not None
        self.processes()
        self.process.send_signal(sign)
        return self.process.wait(within)

    def kill_everything(self) -> None:
        """Leave nothing, whatever happened."""
        if self.process is not None:
            self.processes()
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
        for each in self.seen.values():
            try:
                each.kill()
            except psutil.Error:
                continue
