"""Suspects, the conversations whose worker died, are handled one at a time, those blamed least first.

Deaths that come from outside, as when processes are killed again and again, then blame a conversation twice
only once all other suspects have been answered. See quarantine.py for what blame leads to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

#: Seconds that a suspect is handled alone; longer than the watchdog leaves a stuck worker.
TRIAL = 12.0
#: Seconds that it waits for suspects which were blamed less and are open, but have not come for their trial.
PATIENCE = 12.0


@dataclass(slots=True, eq=False)
class _Waiting:
    deaths: int
    granted: asyncio.Future[None]
    patient: bool = True


class Trials:
    """One worker's. Everything happens in its event loop."""

    def __init__(self, *, trial: float = TRIAL, patience: float = PATIENCE) -> None:
        self._trial = trial
        self._patience = patience
        self._expected: dict[int, int] = {}
        self._waiting: list[_Waiting] = []
        self._busy = False

    def expect(self, conversation: int, deaths: int) -> None:
        """It was claimed with so many deaths of owners: where there are any, its trial will come."""
        if deaths:
            self._expected[conversation] = deaths

    def forget(self, conversation: int) -> None:
        """It has had its trial, or needs none: there was nothing to handle."""
        if self._expected.pop(conversation, None) is not None:
            self._next()

    @asynccontextmanager
    async def alone(self, conversation: int, deaths: int) -> AsyncIterator[None]:
        """Handle it while no other suspect is, for `trial` seconds at most: what kills does it by then."""
        self.expect(conversation, deaths)
        loop = asyncio.get_running_loop()
        mine = _Waiting(deaths, loop.create_future())
        self._waiting.append(mine)
        tired = loop.call_later(self._patience, self._tire, mine)
        self._next()
        try:
            await mine.granted
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                self._busy = False
            self._next()
            raise
        finally:
            tired.cancel()
        over = False

        def release() -> None:
            nonlocal over
            if not over:
                over, self._busy = True, False
                self._expected.pop(conversation, None)
                self._next()

        timer = loop.call_later(self._trial, release)
        try:
            yield
        finally:
            timer.cancel()
            release()

    def _tire(self, waiting: _Waiting) -> None:
        waiting.patient = False
        self._next()

    def _next(self) -> None:
        """Let the one go that was blamed least, unless one who was blamed less still is to come."""
        if self._busy or not self._waiting:
            return
        first = min(self._waiting, key=lambda each: each.deaths)  # of those alike the one that came first
        if first.patient and any(deaths < first.deaths for deaths in self._expected.values()):
            return
        self._busy = True
        self._waiting.remove(first)
        first.granted.set_result(None)
