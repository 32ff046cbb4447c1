"""Whether the machine is busy: little of its CPU is left for what nobody waits for."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

#: The CPU's use is looked at over so many seconds, and from this share on the machine is busy.
OVER, BUSY_FROM = 0.5, 0.75


def idle_seconds() -> float:
    """Seconds that all cores have been idle, since some moment."""
    times = psutil.cpu_times()
    return float(times.idle + getattr(times, "iowait", 0.0))


class Machine:
    """Looks at the CPU of all cores, at most once in `OVER` seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        idle: Callable[[], float] = idle_seconds,
        cores: int | None = None,
    ) -> None:
        self._clock, self._idle = clock, idle
        self._cores = cores or psutil.cpu_count() or 1
        self._at, self._idled = clock(), idle()
        self._busy = False

    def busy(self) -> bool:
        """Whether most of the CPU was used when it was looked at last."""
        now = self._clock()
        if (passed := now - self._at) >= OVER:
            idled = self._idle()
            self._busy = (idled - self._idled) / (passed * self._cores) < 1 - BUSY_FROM
            self._at, self._idled = now, idled
        return self._busy
