"""Which faults are on, and whether one applies now."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar, cast

from app.sandbox.faults import AnyFault, Fault

F = TypeVar("F", bound=Fault)


class Entry:
    """A fault that was switched on: how often it matched (`seen`) and applied (`hits`)."""

    def __init__(self, number: int, fault: AnyFault, now: float) -> None:
        self.id = str(number)
        self.fault = fault
        self.seen = 0
        self.hits = 0
        self.until = None if fault.for_seconds is None else now + fault.for_seconds

    def active(self, now: float) -> bool:
        """Whether it may still apply."""
        spent = self.fault.count is not None and self.hits >= self.fault.count
        return not spent and (self.until is None or now < self.until)

    def take(self) -> bool:
        """Count a match; whether it applies to this one."""
        self.seen += 1
        beyond = self.seen - self.fault.skip
        applies = beyond > 0 and beyond % self.fault.every == 0
        self.hits += applies
        return applies


class FaultBook:
    """The faults of a sandbox. Spent and expired ones stay listed until cleared."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._number = 0
        self._entries: dict[type[Fault], list[Entry]] = {}

    def add(self, fault: AnyFault) -> Entry:
        """Switch a fault on."""
        self._number += 1
        entry = Entry(self._number, fault, self._clock())
        self._entries.setdefault(type(fault), []).append(entry)
        return entry

    def remove(self, entry_id: str) -> bool:
        """Switch one off; False if there is none with that id."""
        for kind, entries in self._entries.items():
            for entry in entries:
                if entry.id == entry_id:
                    entries.remove(entry)
                    if not entries:
                        del self._entries[kind]
                    return True
        return False

    def clear(self) -> None:
        """Switch all off."""
        self._entries.clear()

    def entries(self) -> list[tuple[Entry, bool]]:
        """All of them in the order they came, each with whether it is still active."""
        now = self._clock()
        every = [entry for entries in self._entries.values() for entry in entries]
        return [(entry, entry.active(now)) for entry in sorted(every, key=lambda entry: int(entry.id))]

    def take(
        self,
        kind: type[F],
        conversation: str | None = None,
        tenant: str | None = None,
        detail: str | None = None,
    ) -> F | None:
        """The first fault of this kind that applies now, counted; None in the normal case."""
        entries = self._entries.get(kind)
        if not entries:
            return None
        now = self._clock()
        for entry in entries:
            matches = entry.active(now) and entry.fault.concerns(conversation, tenant, detail)
            if matches and entry.take():
                return cast(F, entry.fault)
        return None

    async def over(self, kind: type[Fault], tenant: str | None) -> None:
        """Wait until no timed fault of this kind is on; one that is cleared is noticed within a second."""
        remaining = self.remaining(kind, tenant)
        while remaining > 0:
            await asyncio.sleep(min(remaining, 1.0))
            remaining = self.remaining(kind, tenant)

    def remaining(self, kind: type[Fault], tenant: str | None) -> float:
        """Seconds for which a timed fault of this kind goes on; 0 when there is none."""
        now = self._clock()
        return max(
            (
                entry.until - now
                for entry in self._entries.get(kind, ())
                if entry.until is not None and entry.active(now) and entry.fault.concerns(None, tenant, None)
            ),
            default=0.0,
        )
