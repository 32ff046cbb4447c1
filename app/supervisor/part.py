"""One part of Parley: a child process that is started, watched, started again and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from app.processes import before_exec

log = structlog.get_logger(__name__)

Process = subprocess.Popen[bytes]

#: Seconds before a part that died is started again: the first time, the second, … then always the last.
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)

#: A part that ran for so many seconds is taken for healthy: its next restart is a first one again.
HEALTHY = 30.0

#: Seconds between two looks at a process, and between two questions whether it answers.
LOOK = 0.05

#: Exit code of a part that says the operator must change something: starting it again is no use.
MISCONFIGURED = 2


async def answers_always(_process: Process) -> bool:
    """A part that nobody waits for."""
    return True


@dataclass
class Part:
    """What a part is: how it is started, when it is ready, how it is asked to end."""

    name: str
    start: Callable[[], Process]
    ready: Callable[[Process], Awaitable[bool]] = answers_always
    stop_signal: signal.Signals = signal.SIGTERM
    log: Path | None = None
    """Its own log file, where it doesn't write to Parley's."""

    process: Process | None = None
    restarts: int = 0
    started_at: float = 0.0
    answered: bool = False

    def launch(self) -> None:
        """Start the process."""
        self.started_at = time.monotonic()
        self.process = self.start()
        log.info("part_started", name=self.name, pid=self.process.pid)

    def exit_code(self) -> int | None:
        """How the process ended; None while it runs."""
        return self.process.poll() if self.process else None

    def pause(self) -> float:
        """Seconds to wait before the next start, longer each time it dies young."""
        if time.monotonic() - self.started_at > HEALTHY:
            self.restarts = 0
        pause = PAUSES[min(self.restarts, len(PAUSES) - 1)]
        self.restarts += 1
        return pause

    async def stop(self, *, within: float) -> None:
        """Ask the process to end, kill it after `within` seconds, and leave none of its children behind."""
        process = self.process
        if process is None:
            return
        left = _descendants(process.pid)
        if process.poll() is None:
            log.info("part_stopping", name=self.name)
            with suppress(ProcessLookupError):
                process.send_signal(self.stop_signal)
            if not await _ended(process, within):
                log.warning("part_killed", name=self.name, seconds=within)
        self.clear(left)

    def clear(self, left: Sequence[psutil.Process] = ()) -> None:
        """Kill what is left of the process and its group, and reap it."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for each in left:
            with suppress(psutil.Error):
                each.kill()
        self.process.wait()
        self.process = None

    def last_words(self) -> str:
        """The end of its own log, if it has one."""
        if self.log is None:
            return ""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-10:]
        except OSError:
            return ""
        return "".join(f"\n  {line}" for line in lines)


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    niceness: int = 0,
    log: Path | None = None,
    folder: Path | None = None,
) -> Process:
    """Start a command in a session of its own, told by the kernel when this process ends.

    Its output goes to `log`, else to this process's stderr. `niceness` above 0 lowers its priority.
    """
    prepare = before_exec(end=signal.SIGTERM)

    def before() -> None:
        prepare()
        if niceness:
            os.nice(niceness)

    with log.open("ab") if log else open(os.dup(2), "ab") as output:  # noqa: PTH123
        return subprocess.Popen(  # noqa: S603
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            cwd=folder,
            start_new_session=True,
            preexec_fn=before,
        )


async def _ended(process: Process, within: float) -> bool:
    """Whether it ends within so many seconds."""
    deadline = time.monotonic() + within
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK)
    return True


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
