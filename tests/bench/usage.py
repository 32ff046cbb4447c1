"""Which process took how much CPU while something was measured, this machine's other work included."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: The parts by a word of their command line; the first that fits.
_PARTS = (
    ("receiver", "parley serve"),
    ("worker", "parley work"),
    ("naive worker", "tests.bench.naive"),
    ("sandbox", "parley sandbox"),
    ("Prefect server", "prefect server"),
    ("Prefect worker", "prefect worker"),
    ("Prefect deploy", "prefect --no-prompt deploy"),
    ("PostgreSQL", "postgres"),
    ("supervisor", "parley up"),
)
_SPAWNED = {"Prefect server", "Prefect worker", "Prefect deploy", "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds by part, of the whole machine, and taken by its host, since it was started."""

    parts: dict[str, float]
    machine: float
    stolen: float
    at: float

    def since(self, before: Usage) -> dict[str, float]:
        """Per cent of one core by part between two moments.

        `others`: not Parley's, not the bench's; `stolen`: what the host of a virtual machine gave to others.
        """
        seconds = max(self.at - before.at, 1e-9)
        spent = {name: self.parts[name] - before.parts.get(name, 0.0) for name in self.parts}
        spent["stolen"] = self.stolen - before.stolen
        spent["others"] = max((self.machine - before.machine) - sum(spent.values()), 0.0)
        return {name: round(100 * value / seconds, 1) for name, value in spent.items()}


def usage() -> Usage:
    """What has been used up to now by this process and those it started."""
    me = psutil.Process()
    parts = {"load generator": _seconds(me)}
    pending: list[tuple[psutil.Process, str | None]] = [(child, None) for child in me.children()]
    while pending:
        process, owner = pending.pop()
        try:
            part = owner or _part(process)
            parts[part] = parts.get(part, 0.0) + _seconds(process)
            heir = part if part in _SPAWNED else None
            pending += [(child, heir) for child in process.children()]
        except psutil.Error:
            continue
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    clock = os.times().elapsed
    return Usage(parts, clock * (psutil.cpu_count() or 1) - idle, _stolen(), clock)


class Theft:
    """How much of the machine its host gives to others meanwhile (Linux on a virtual machine; else 0)."""

    def __init__(self) -> None:
        self._stolen, self._at = _stolen(), os.times().elapsed

    @property
    def share(self) -> float:
        """Share of all cores' time since the beginning, 0 to 1."""
        seconds = max(os.times().elapsed - self._at, 1e-9) * (psutil.cpu_count() or 1)
        return round(min(max((_stolen() - self._stolen) / seconds, 0.0), 1.0), 3)


#: Session priorities when what is measured goes ahead of all else: as far apart as 0 and 15 are.
AHEAD, PREFECT_AHEAD = -19, -4


def go_ahead(*, prefect: int = PREFECT_AHEAD) -> None:
    """Let this process and those it started run before everything else on the machine (root only).

    `prefect` is the priority of Prefect's own. Linux shares the CPU between sessions first, and every part is
    one, so it is the sessions' priorities that count: see sched(7).
    """
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.Error):
            theirs = any("prefect" in word for word in process.cmdline())
            Path(f"/proc/{process.pid}/autogroup").write_text(str(prefect if theirs else AHEAD))


def find(part: str) -> psutil.Process:
    """The process of a part started by this one. Raises LookupError."""
    for process in psutil.Process().children(recursive=True):
        try:
            if _part(process) == part:
                return process
        except psutil.Error:
            continue
    raise LookupError(f"no process of the {part}")


def _part(process: psutil.Process) -> str:
    line = " ".join(process.cmdline()).replace(".py", "")
    return next((name for name, word in _PARTS if word in line), "else")


def _stolen() -> float:
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
