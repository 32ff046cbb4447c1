"""Deploying what prefect.yaml names, once Prefect can take it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import structlog

from app.supervisor.part import LOOK, Process

log = structlog.get_logger(__name__)

#: Seconds after an attempt that failed: the first, the second, … then always the last.
PAUSES = (5.0, 15.0, 60.0)

#: Seconds that the pool gets to be there before the first attempt.
PATIENCE = 60.0


async def deploy(
    start: Callable[[], Process | None],
    pool_is_there: Callable[[], Awaitable[bool]],
    *,
    pauses: Sequence[float] = PAUSES,
    patience: float = PATIENCE,
) -> None:
    """Run the command that `start` starts until it succeeds; None where there is nothing to deploy.

    It fails without the pool, which at the first start of all is only just being made by the Prefect worker.
    Nothing else waits for this, so a failure is logged and tried again, for ever. Cancelled, it kills the
    command.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if await pool_is_there():
            break
        await asyncio.sleep(4 * LOOK)
    for attempt in count():
        process = start()
        if process is None:
            return
        code = await _ended(process)
        if code == 0:
            log.info("flows_deployed")
            return
        pause = pauses[min(attempt, len(pauses) - 1)]
        log.warning("flows_not_deployed", exit_code=code, again_in=pause, see="logs/prefect-deploy.log")
        await asyncio.sleep(pause)


async def _ended(process: Process) -> int:
    try:
        while True:
            code = process.poll()
            if code is not None:
                return code
            await asyncio.sleep(LOOK)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
