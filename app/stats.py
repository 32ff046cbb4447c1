"""What a worker counts: it goes into its row with each sign of life, and from there to `/metrics`."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

#: Upper ends, in seconds, of the classes of how long users waited.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Stats:
    """Counts since the worker started."""

    def __init__(self) -> None:
        self.turns = 0
        self.leases_lost = 0
        self.failures = 0
        self.steps_stuck: dict[str, int] = {}
        """By endpoint, as it was when last looked at."""
        self._answers = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def answered(self, seconds: float) -> None:
        """An input was answered, so long after it arrived (its first sending included)."""
        self._answers[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += max(seconds, 0.0)

    def to_json(self) -> dict[str, Any]:
        """For the worker's row."""
        return {
            "turns": self.turns,
            "leases_lost": self.leases_lost,
            "failures": self.failures,
            "steps_stuck": self.steps_stuck,
            "answers": list(self._answers),
            "answer_seconds": round(self._seconds, 3),
        }
