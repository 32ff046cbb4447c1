"""How Parley talks to PostgreSQL: engines with the time limits each kind of process needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: NOTIFY on this channel carries ids of conversations that are due, separated by commas.
DUE_CHANNEL = "parley_due"
#: NOTIFY on this channel says that an endpoint's mode has changed.
MODES_CHANNEL = "parley_modes"


@dataclass(frozen=True)
class Limits:
    """Time limits in seconds; a statement that takes longer fails instead of holding a connection."""

    statement: float
    pool_size: int
    lock: float = 1.0
    idle_in_transaction: float = 5.0
    pool_wait: float = 1.0
    answer: float | None = None
    """A connection on which a statement is not answered for so long is dead, and so are those beside it."""
    custom_plans: bool = False
    """Each statement is planned for its own values, however often it was asked: for those who filter."""


RECEIVER = Limits(statement=2.0, pool_size=8)
WORKER = Limits(statement=10.0, pool_size=8, pool_wait=10.0, answer=10.5)
TOOL = Limits(statement=300.0, pool_size=2, lock=10.0, idle_in_transaction=300.0, pool_wait=10.0)


def async_url(url: str | URL) -> URL:
    """The same database through asyncpg, whatever driver the URL names (`postgres://` too).

    libpq's `sslmode` becomes asyncpg's `ssl`, which takes the same words.
    """
    text = str(url) if isinstance(url, str) else url.render_as_string(hide_password=False)
    if text.startswith("postgres://"):
        text = "postgresql://" + text.removeprefix("postgres://")
    parsed = make_url(text).set(drivername="postgresql+asyncpg")
    if "sslmode" in parsed.query:
        mode = parsed.query["sslmode"]
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return parsed


def server_settings(limits: Limits, application: str) -> dict[str, str]:
    """Settings each connection starts with (milliseconds, as PostgreSQL counts)."""
    settings = {
        "application_name": application,
        "statement_timeout": str(int(limits.statement * 1000)),
        "lock_timeout": str(int(limits.lock * 1000)),
        "idle_in_transaction_session_timeout": str(int(limits.idle_in_transaction * 1000)),
        "timezone": "UTC",
        "jit": "off",
    }
    return {**settings, "plan_cache_mode": "force_custom_plan"} if limits.custom_plans else settings


def create_engine(url: str | URL, limits: Limits, *, application: str) -> AsyncEngine:
    """An engine with a small pool. Waiting for the pool raises `sqlalchemy.exc.TimeoutError`."""
    engine = create_async_engine(
        async_url(url),
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.pool_wait,
        pool_use_lifo=True,
        connect_args={
            "server_settings": server_settings(limits, application),
            "timeout": 5,
            "command_timeout": limits.answer,
        },
    )
    event.listen(engine.sync_engine, "handle_error", _dead_where_silent)
    return engine


def _dead_where_silent(context: ExceptionContext) -> None:
    """A statement that is not answered at all: its connection is closed, and so are those beside it."""
    if isinstance(context.original_exception, TimeoutError):
        context.is_disconnect = True


def dsn(url: str | URL) -> dict[str, Any]:
    """Arguments for `asyncpg.connect`, for the one connection that listens."""
    parsed = async_url(url)
    host = parsed.query.get("host") or parsed.host
    arguments: dict[str, Any] = {
        "host": host,
        "user": parsed.username,
        "password": parsed.password,
        "database": parsed.database,
        "port": parsed.port,
        "ssl": parsed.query.get("ssl"),
    }
    return {name: value for name, value in arguments.items() if value is not None}


async def connect(url: str | URL, *, application: str) -> asyncpg.Connection[asyncpg.Record]:
    """A connection of its own, outside every pool: for LISTEN and NOTIFY."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        **dsn(url), timeout=5, server_settings={"application_name": application, "timezone": "UTC"}
    )
    return connection


#: Seconds between two looks whether a connection that only listens still lives, and those that one may take.
LOOK_EVERY, LOOK_WITHIN = 20.0, 5.0


async def listening(connection: asyncpg.Connection[asyncpg.Record], until: asyncio.Event) -> None:
    """Return when that is set. Raises what asyncpg does, or TimeoutError, where the connection is dead.

    One that goes without a word, as with its network, closes nothing here.
    """
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await until.wait()
                return
        await connection.execute("SELECT 1", timeout=LOOK_WITHIN)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed at the end, rolled back on any error."""
    async with engine.begin() as connection:
        yield connection


async def wait_until_ready(url: str | URL, *, within: float) -> None:
    """Return when the database answers; raise the last error when it doesn't within `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        try:
            connection = await connect(url, application="parley")
        except (OSError, asyncpg.PostgresError) as error:
            if loop.time() >= deadline:
                raise error
            await asyncio.sleep(0.1)
        else:
            await connection.close()
            return
