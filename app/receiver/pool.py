"""The receiver's connections: asyncpg itself, since each event costs one statement and little else.

Nothing connects before it is needed, so that a receiver also starts (and answers 503) while the database is
away, and finds it again by itself.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from app.database.engine import RECEIVER, dsn, server_settings

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

#: Every statement finds rows by key: a plan made while a table was small must not scan it when it is big.
KEYS_ONLY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}


async def create_pool(url: str, *, size: int, lock: float, application: str) -> Pool:
    """Up to `size` connections with the receiver's time limits, waiting `lock` seconds for a row."""
    settings = server_settings(RECEIVER, application) | KEYS_ONLY | {"lock_timeout": str(int(lock * 1000))}
    pool = asyncpg.create_pool(
        **dsn(url),
        min_size=0,
        max_size=size,
        timeout=RECEIVER.pool_wait,
        command_timeout=RECEIVER.statement + 0.5,
        max_inactive_connection_lifetime=0,
        server_settings=settings,
        reset=_unchanged,
    )
    await pool
    return pool


async def _unchanged(_: asyncpg.Connection[Any]) -> None:
    """No statement here changes its connection, so that it needs no reset after each."""


async def close(pool: Pool) -> None:
    """Close the pool, by force when its connections do not end in two seconds."""
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except TimeoutError:
        pool.terminate()
