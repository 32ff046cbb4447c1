"""Doing something at most once in a while."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable


class Throttle:
    """Lets each key through once every `seconds`."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._passed: dict[Hashable, float] = {}
        self._held: Counter[Hashable] = Counter()

    def passes(self, key: Hashable = None) -> bool:
        """Whether it is this key's turn again; if so, it counts as taken."""
        now = self._clock()
        if now - self._passed.get(key, -self._seconds) < self._seconds:
            self._held[key] += 1
            return False
        self._passed[key] = now
        return True

    def held_back(self, key: Hashable = None) -> int:
        """How many were not let through since this was asked last."""
        return self._held.pop(key, 0)

    def forget(self, key: Hashable = None) -> None:
        """It was not done after all: the next one passes."""
        self._passed.pop(key, None)
