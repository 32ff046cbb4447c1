"""Runs `parley` commands, each in a process of its own that is forked from one with the libraries imported.

A command imports Parley's own modules itself, as it does when a person calls it; but importing the
libraries takes far longer than most commands do, and is the same for all of them. `Forks` is what tests use;
the rest is the process that forks: `python -m tests.forking`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

ROOT = Path(__file__).parents[1]

LIBRARIES = (
    "alembic.command",
    "asyncpg",
    "cryptography.fernet",
    "jinja2",
    "litestar",
    "nh3",
    "obstore",
    "prometheus_client",
    "pydantic_settings",
    "rich.markdown",
    "rich.table",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.ext.asyncio",
    "sqlmodel",
    "structlog",
    "typer",
    "uvicorn",
    "uvloop",
    "yaml",
)


class Forks:
    """Runs commands, one at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run `parley` with these arguments; what it printed and its exit code."""
        with TemporaryDirectory() as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            asked = [list(arguments), dict(env), str(cwd), str(output), str(errors)]
            with self._lock:
                code = self._ask(json.dumps(asked))
            return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())

    def _ask(self, asked: str) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.forking"],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # closed when the tests end, and so the process ends
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin is not None and self._server.stdout is not None
        print(asked, file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())


#: Those of this test process.
FORKS = Forks()


def main() -> None:
    """Fork for every line that is read, and write how the command ended."""
    for name in LIBRARIES:
        importlib.import_module(name)
    strays = [name for name in sys.modules if name.partition(".")[0] in ("app", "flows", "prefect")]
    assert not strays, f"{strays} would be imported before the command sets its variables"
    sys.path.remove(str(ROOT))
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(*json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _become(arguments: list[str], env: dict[str, str], folder: str, output: str, errors: str) -> None:
    """Be that command; ends as it ends."""
    for number, path in enumerate((os.devnull, output, errors)):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.path[:0] = [each for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.argv = ["parley", *arguments]
    importlib.import_module("app.cli").main()


if __name__ == "__main__":
    main()
