"""Counts are brought up to date when somebody looks: what has just happened is in the overview at once.

That is the current hour and the one before, however many look and in however many receivers. The scheduled
flow counts every ten minutes, whoever looks, and what changed in earlier hours too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.rollup import roll_up

log = structlog.get_logger(__name__)

#: Between two counts, however many look. (seconds)
PAUSE = 15.0
#: How long a page waits for the count; what takes longer is in the next look. (seconds)
PATIENCE = 0.15
#: How long the first one waits after a start: what was counted before may be hours old. (seconds)
FIRST = 2.0


class Counting:
    """Counts for those who look at the overview."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
        self._count: asyncio.Task[None] | None = None
        self._ended = float("-inf")

    async def refresh(self) -> None:
        """Begin to count, unless that has just been done, and wait a moment for the end."""
        if self._count is None:
            if time.monotonic() - self._ended < PAUSE:
                return
            self._count = asyncio.create_task(self._roll_up())
        await asyncio.wait({self._count}, timeout=FIRST if self._ended == float("-inf") else PATIENCE)

    async def aclose(self) -> None:
        """Stop counting: an hour that is not done is counted next time."""
        if self._count is not None:
            self._count.cancel()
            await asyncio.wait({self._count})

    async def _roll_up(self) -> None:
        try:
            done = await roll_up(self._engine, now=self._now(), lately=True)
            if done.hours:  # else another receiver has just done it: soon it is our turn
                self._ended = time.monotonic()
        except (SQLAlchemyError, OSError) as error:
            log.warning("overview_not_counted", error=type(error).__name__)
            self._ended = time.monotonic()
        finally:
            self._count = None
