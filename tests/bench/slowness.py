"""When this machine's memory was slow: a host of virtual machines does that, and it is not in stolen time."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from statistics import median
from threading import Event, Thread

#: So many pages are written to in each look, one byte of each, with so many seconds between.
PAGES, EVERY = 2000, 0.02
PAGE = 4096
#: A look that takes so many times the median shows that memory is slow.
SLOW = 3.0
#: What is sent so many seconds before such a look, or after it while queues empty, is disturbed by it.
BEFORE, AFTER = 0.1, 0.4


class Slowness:
    """Looks at the memory while its block runs. A look costs some 50 µs; waiting for a CPU isn't counted."""

    def __init__(self) -> None:
        self._memory = bytearray(PAGES * PAGE)
        self.looks: list[tuple[int, int]] = []
        """When, ns since 1970, and how many ns it took."""
        self._end = Event()
        self._thread = Thread(target=self._look, name="slowness", daemon=True)

    def __enter__(self) -> Slowness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        values = bytes(PAGES)
        while not self._end.wait(EVERY):
            begun = time.thread_time_ns()
            self._memory[::PAGE] = values
            self.looks.append((time.time_ns(), time.thread_time_ns() - begun))

    @property
    def moments(self) -> list[int]:
        """When memory was slow, ns since 1970, in order."""
        return slow_moments(self.looks)

    @property
    def share(self) -> float:
        """Share of the looks that found it slow, 0 to 1."""
        return round(len(self.moments) / max(len(self.looks), 1), 3)


def slow_moments(looks: Sequence[tuple[int, int]]) -> list[int]:
    """The moments of (moment, ns it took) that took much longer than most."""
    if not looks:
        return []
    usual = median(took for _, took in looks)
    return [moment for moment, took in looks if took > SLOW * usual]


def disturbed(sent_ns: int, moments: Sequence[int]) -> bool:
    """Whether memory was slow about the time when something was sent; `moments` in order."""
    next_one = bisect_left(moments, sent_ns - int(AFTER * 1e9))
    return next_one < len(moments) and moments[next_one] <= sent_ns + int(BEFORE * 1e9)
