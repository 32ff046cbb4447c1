"""When a delivery that failed is tried again."""

from __future__ import annotations

import random
from datetime import timedelta

_FIRST = 1.0
_LONGEST = 60.0


def backoff(attempt: int, *, retry_after: float | None = None, rng: random.Random | None = None) -> timedelta:
    """Pause after the `attempt`-th failure (1, 2, …): doubling from 1 s to 60 s, with jitter of ± 25 %.

    The gateway's own `Retry-After` (seconds) is honoured as a minimum, up to an hour.
    """
    spread = (rng or random).uniform(0.75, 1.25)
    pause = min(_FIRST * 2 ** min(max(attempt, 1) - 1, 10), _LONGEST) * spread
    if retry_after is not None:
        pause = max(pause, min(retry_after, 3600.0))
    return timedelta(seconds=pause)
