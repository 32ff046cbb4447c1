"""Figures: a value, its unit, and by how much it varied while it was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: Parts of a measurement that are looked at singly to see how much it varies.
WINDOWS = 4
#: What a figure differs by from one run to the next on a machine that does nothing else.
LEAST_NOISE = 0.10
#: A figure that varied by more says little, and is nothing to compare the next one with.
TOO_NOISY = 0.5
#: Share of the machine stolen by its host from which on it is said.
WORTH_A_WORD = 0.02


@dataclass(frozen=True, slots=True)
class Figure:
    """`noise` is a share of `value`; `reach` is what the project wants, None where it wants nothing."""

    name: str
    value: float
    unit: str
    noise: float = LEAST_NOISE
    reach: float | None = None
    lower_is_better: bool = True
    note: str = ""
    at: str = ""
    """When it was measured, ISO 8601."""

    @property
    def reached(self) -> bool | None:
        """Whether it is what is wanted."""
        if self.reach is None:
            return None
        return self.value <= self.reach if self.lower_is_better else self.value >= self.reach

    def compared(self, before: Figure) -> str:
        """better, same or worse than an earlier one: beyond the noise of both, or not.

        Where noise hides what matters, "too noisy". What could not be measured is worse.
        """
        if math.isnan(self.value) or math.isnan(before.value):
            return "worse" if math.isnan(self.value) else "better"
        if self.value == before.value:
            return "same"
        noise = max(self.noise, before.noise, LEAST_NOISE)
        if self.value > 0 and before.value > 0:
            change = abs(math.log(self.value / before.value))
            if change <= math.log1p(noise):
                return "too noisy" if noise > TOO_NOISY else "same"
        return "better" if (self.value < before.value) == self.lower_is_better else "worse"

    def to_json(self) -> dict[str, Any]:
        """Everything, plain."""
        return asdict(self)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all values do not exceed."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def p50(values: Sequence[float]) -> float:
    """The middle."""
    return percentile(values, 0.50)


def p99(values: Sequence[float]) -> float:
    """All but one in a hundred are below."""
    return percentile(values, 0.99)


def latency(
    name: str,
    values: Sequence[float],
    of: Callable[[Sequence[float]], float],
    *,
    reach: float | None = None,
    stolen: float = 0.0,
    note: str = "",
) -> Figure:
    """A latency in ms with its noise: half the difference between the best and the worst quarter.

    `stolen` is the share of the machine that its host gave to others meanwhile. What is left makes every wait
    longer, so the noise is no less than that share of what is left.
    """
    size = max(len(values) // WINDOWS, 1)
    parts = [of(values[start : start + size]) for start in range(0, size * WINDOWS, size) if values[start:]]
    value = of(values)
    spread = (max(parts) - min(parts)) / 2 / value if value > 0 and parts else 0.0
    noise = max(spread, noise_of(stolen))
    said = ", ".join(filter(None, [theft_note(stolen), note]))
    return Figure(name, round(value, 1), "ms", round(noise, 2), reach, note=said)


def noise_of(stolen: float) -> float:
    """The least noise of what was measured while the host took that share of the machine."""
    return round(max(LEAST_NOISE, stolen / max(1.0 - stolen, 0.01)), 2)


def theft_note(stolen: float) -> str:
    """What a reader has to know of a figure that was measured on less than the whole machine."""
    return f"{stolen:.0%} of the machine stolen" if stolen >= WORTH_A_WORD else ""
