"""Doing something at most once in a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable


class Throttle:
    """Lets each key through once every `seconds`."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._passed: dict[Hashable, float] = {}

    def passes(self, key: Hashable = None) -> bool:
        """Whether it is this key's turn again; if so, it counts as taken."""
        now = self._clock()
        if now - self._passed.get(key, -self._seconds) < self._seconds:
            return False
        self._passed[key] = now
        return True
