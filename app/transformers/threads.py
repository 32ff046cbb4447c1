"""Threads of their own for sync transformers: one that hangs keeps its thread, and takes none from steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.conversation.step_threads import StepThreads

#: Threads of an endpoint in a process.
MOST = 8

#: The incident of an endpoint whose transformers find no thread; one at a time.
STUCK = """
INSERT INTO incident (endpoint, kind, detail)
SELECT $1, 'transformers_stuck', '{}' WHERE NOT EXISTS (
    SELECT 1 FROM incident WHERE endpoint = $1 AND kind = 'transformers_stuck' AND resolved_at IS NULL)
"""


class AllTaken(Exception):
    """Every thread of the endpoint is held by a call that nobody waits for any more."""


threads = StepThreads(MOST, "transformer")


async def in_thread(endpoint: str, function: Callable[[], Any]) -> Any:
    """What it gives back, called in this context. Raises AllTaken where waiting would be in vain."""
    pool = threads.of(endpoint)
    if pool.all_stuck:
        raise AllTaken
    running = pool.begin(function)
    try:
        return await running.result()
    finally:
        running.leave()
