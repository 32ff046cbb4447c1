"""LISTEN: which conversations became due, told at once. Losing it costs a second: the sweep looks anyway."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable

import asyncpg
import structlog

from app.database.engine import DUE_CHANNEL, MODES_CHANNEL, connect, listening

log = structlog.get_logger(__name__)

#: Seconds before another try, twice as long each time; and how long a connection lasts that was a good one. A
#: server that recovers takes connections and refuses to listen.
PAUSE, LONGEST_PAUSE, LASTING = 0.1, 2.0, 5.0

#: What a connection says that can't be made, or broke down.
_BROKEN = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def ids_of(payload: str) -> list[int]:
    """The ids of a notification: `id,id,…`."""
    return [int(part) for part in payload.split(",") if part.isascii() and part.isdigit()]


def _set(closed: asyncio.Event, connection: object) -> None:
    closed.set()


async def listen(
    url: str,
    told: Callable[[list[int]], None],
    modes_changed: Callable[[], None] = lambda: None,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Call `told` with the ids of each notification, for ever; reconnects by itself.

    `begun` is called whenever it has begun to listen: of what was told before, it knows nothing.
    """
    pause = PAUSE
    while True:
        begun_at = time.monotonic()
        try:
            await _listen(url, told, modes_changed, begun)
            log.warning("listen_lost")
        except _BROKEN as error:
            log.warning("listen_failed", error=type(error).__name__)
        if time.monotonic() - begun_at > LASTING:
            pause = PAUSE
        else:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


async def _listen(
    url: str,
    told: Callable[[list[int]], None],
    modes_changed: Callable[[], None],
    begun: Callable[[], None],
) -> None:
    """Listen with one connection, until it is closed."""
    connection = await connect(url, application="parley listen")
    closed = asyncio.Event()
    try:
        connection.add_termination_listener(functools.partial(_set, closed))
        await connection.add_listener(DUE_CHANNEL, lambda *told_of: told(ids_of(str(told_of[3]))))
        await connection.add_listener(MODES_CHANNEL, lambda *_: modes_changed())
        begun()
        await listening(connection, closed)
    finally:
        connection.terminate()
