"""How fast 8x8 is called with one API key, where `eightxeight.rate` says so.

A token bucket. A 429 halves the pace; each second without another one gives a tenth of the full pace back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from app.bucket import Bucket
from app.endpoints import Endpoint

#: The slowest pace, as a part of the full one.
SLOWEST = 1 / 64
#: Part of the full pace that comes back each second.
RECOVERY = 0.1


class Pace:
    """One API key's."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._full = per_second
        self._clock = clock
        self._bucket = Bucket(per_second, burst, clock=clock)
        self._at = clock()

    def take(self, longest: float) -> tuple[bool, float]:
        """(True, seconds to wait before calling), or (False, seconds until it makes sense to ask again)."""
        now = self._clock()
        recovered = self._bucket.per_second + (now - self._at) * RECOVERY * self._full
        self._bucket.per_second, self._at = min(recovered, self._full), now
        wait = self._bucket.wait()
        if wait > longest:
            return False, wait
        return True, self._bucket.take()

    def slow_down(self) -> None:
        """8x8 said 429."""
        self._bucket.empty()
        self._bucket.per_second = max(self._bucket.per_second / 2, self._full * SLOWEST)
        self._at = self._clock()


class Paces:
    """Those of all API keys of this process. Endpoints with the same key share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, float, int], Pace] = {}

    def of(self, endpoint: Endpoint) -> Pace | None:
        """The endpoint's; None where it may call as fast as it likes."""
        rate = endpoint.eightxeight.rate
        if rate is None:
            return None
        key = (endpoint.eightxeight.api_key.get_secret_value(), rate.per_second, rate.burst)
        pace = self._known.get(key)
        if pace is None:
            pace = self._known[key] = Pace(rate.per_second, rate.burst, self._clock)
        return pace
