"""Ends a process whose event loop stands still: a bot that never returns must not hold up all others.

Code that keeps the interpreter to itself, as a regular expression that backtracks for ever, keeps the watcher
from looking too. For that the kernel counts: it ends a process that computes for long and is not looked at.
It counts CPU and no time, so that a process that was frozen as a whole is none of its business.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import time

import structlog

log = structlog.get_logger(__name__)

#: Seconds of CPU that the whole process may take between two looks, as a multiple of what the loop may.
UNWATCHED = 2.0


class Watchdog:
    """Fed by the event loop, looked at from the main thread."""

    def __init__(self, stuck_after: float) -> None:
        self._stuck_after = stuck_after
        self._fed = time.monotonic()
        self._checked = time.monotonic()

    async def feed(self) -> None:
        """Say, for ever, that the event loop turns."""
        while True:
            self._fed = time.monotonic()
            await asyncio.sleep(min(self._stuck_after / 10, 0.5))

    def check(self) -> None:
        """End the process if the loop has stood still. To be called twice a second at least.

        A process that was frozen as a whole wakes with both clocks late: the caller's being late too tells
        that apart, and the loop is given its time anew.
        """
        self._let_the_kernel_watch(UNWATCHED * self._stuck_after)
        now = time.monotonic()
        frozen, self._checked = now - self._checked > self._stuck_after / 2, now
        if frozen:
            self._fed = max(self._fed, now)
        if now - self._fed <= self._stuck_after:
            return
        log.critical("event_loop_stuck", seconds=round(now - self._fed, 1))
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        os._exit(70)

    def stop(self) -> None:
        """Nobody looks any more."""
        self._let_the_kernel_watch(0.0)

    def _let_the_kernel_watch(self, seconds: float) -> None:
        """End the process once it has computed for so long from now on; 0: never."""
        if sys.platform == "win32":
            return
        faulthandler.register(signal.SIGVTALRM, all_threads=True, chain=True)  # where it stood, then it dies
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
