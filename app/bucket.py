"""A token bucket: so many things a second, so many at once."""

from __future__ import annotations

import time
from collections.abc import Callable


class Bucket:
    """Each thing takes a token; `per_second` come back, up to `burst`. Times in seconds of `clock`."""

    def __init__(self, per_second: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock()

    def wait(self) -> float:
        """Seconds until there is a token; 0 when there is one now."""
        self._refill()
        return max((1.0 - self._tokens) / self.per_second, 0.0)

    def take(self) -> float:
        """Take a token, now or in advance; the seconds to wait before using it."""
        self._refill()
        self._tokens -= 1.0
        return max(-self._tokens / self.per_second, 0.0)

    def empty(self) -> None:
        """Have no token left."""
        self._refill()
        self._tokens = min(self._tokens, 0.0)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._at) * self.per_second, self._burst)
        self._at = now
