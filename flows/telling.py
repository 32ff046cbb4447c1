"""Prefect is told of turns no faster than its server takes them; those of a burst a little later, in order.

A server on SQLite needs 3 to 4 ms of CPU for a turn, and Linux lets it have that although it runs at low
priority: with 140 messages a second on two cores a third of a core, and every reply was late
(docs/performance.md). So while the machine is busy it gets little, and the rest once that is over. What is
told later has its own times, so nothing looks different in the end.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context

import structlog

from flows.machine import Machine

log = structlog.get_logger(__name__)

#: Turns that Prefect is told of in a second, in the long run: while the machine has time for it, or not.
A_SECOND, A_BUSY_SECOND = 50.0, 10.0
#: Turns told of at once after a quiet while.
BURST = 100
#: Turns that wait to be told of, of 150 a second those of a minute and more. More are left out.
MOST_WAITING = 10_000


class Telling:
    """Calls what it is given, now or later, each in the context that it was given in."""

    def __init__(
        self,
        *,
        a_second: float = A_SECOND,
        a_busy_second: float = A_BUSY_SECOND,
        burst: int = BURST,
        most: int = MOST_WAITING,
        busy: Callable[[], bool] | None = None,
    ) -> None:
        """`busy` tells whether the machine has no time for it now."""
        self._pauses = (1 / a_second, 1 / a_busy_second)
        self._busy = busy or Machine().busy
        self._burst = burst
        self._most = most
        self._waiting: deque[Callable[[], object]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0
        self.left_out = 0
        """Turns that Prefect was not told of."""

    def tell(self, news: Callable[[], object]) -> None:
        """Call `news` when it is its turn."""
        if len(self._waiting) >= self._most:
            if self.left_out == 0:
                log.warning("turns_not_in_prefect", waiting=len(self._waiting))
            self.left_out += 1
            return
        context = copy_context()
        self._waiting.append(lambda: context.run(news))
        if self._timer is None:
            self._go_on()

    def flush(self) -> None:
        """Call everything that waits, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._waiting.popleft()()

    def _go_on(self) -> None:
        self._timer = None
        now = time.monotonic()
        pause = self._pauses[self._busy()]
        self._free_at = max(self._free_at, now - self._burst * pause)
        while self._waiting and self._free_at <= now:
            self._free_at += pause
            self._waiting.popleft()()
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._free_at - now, self._go_on)
        elif self.left_out:
            log.info("turns_left_out_of_prefect", turns=self.left_out)
            self.left_out = 0


#: Those of this worker.
telling = Telling()
