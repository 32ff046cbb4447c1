"""Connections of the engine's pool, spoken to in asyncpg's own words.

A statement costs about 250 µs of CPU through SQLAlchemy, 20 µs through asyncpg itself (docs/performance.md).
So what every message needs is said to asyncpg directly; everything else stays SQLAlchemy's. Both speak on
connections of the same pool, and in the same transaction where need be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias, cast

import asyncpg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_COMMIT_REPEATABLE = "SET LOCAL synchronous_commit TO off; COMMIT"

#: What asyncpg raises, as SQLAlchemy names it: the rest of the program knows one tree of database errors.
_NAMES: Sequence[tuple[type[Exception], type[DBAPIError]]] = (
    (asyncpg.DataError, DataError),
    (asyncpg.IntegrityConstraintViolationError, IntegrityError),
    (asyncpg.SyntaxOrAccessError, ProgrammingError),
)


@dataclass(slots=True)
class Direct:
    """A connection. Statements have `$1`, `$2` …; rows are asyncpg's; JSONB goes as text, comes parsed."""

    driver: Driver
    _connection: AsyncConnection
    repeatable: bool = False
    """Set in a transaction that is simply done again should PostgreSQL lose it in a crash: its commit doesn't
    wait for the disk."""

    async def sqlalchemy(self) -> AsyncConnection:
        """The same connection, and the same transaction, for SQLAlchemy's statements."""
        if self._connection.in_transaction():  # SQLAlchemy takes it for one already, since the first time
            return self._connection
        return await self._connection.execution_options(isolation_level="AUTOCOMMIT")


@asynccontextmanager
async def direct(engine: AsyncEngine) -> AsyncIterator[Direct]:
    """A connection of the pool. A transaction that is open at the end is rolled back.

    What asyncpg raises comes out as SQLAlchemy's DBAPIError; InternalClientError is how it puts that the
    connection broke down in the middle of something, TimeoutError that nothing was answered.
    """
    async with engine.connect() as connection:
        driver = _driver(connection)
        try:
            yield Direct(driver, connection)
        except asyncpg.InternalClientError as error:
            await connection.invalidate()
            raise translated(error) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await _recover(connection, driver)
            raise translated(error) from error
        except TimeoutError:
            await connection.invalidate()
            raise
        except asyncio.CancelledError:
            await _recover(connection, driver, answered=False)
            raise
        except BaseException:
            await _recover(connection, driver)
            raise


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[Direct]:
    """A transaction: committed at the end, rolled back on any error."""
    async with direct(engine) as database:
        await database.driver.execute("BEGIN")
        yield database
        await database.driver.execute(_COMMIT_REPEATABLE if database.repeatable else "COMMIT")


def translated(error: Exception) -> DBAPIError:
    """SQLAlchemy's name for an error of asyncpg's."""
    for theirs, ours in _NAMES:
        if isinstance(error, theirs):
            return ours(None, None, error)
    return OperationalError(None, None, error)


def _driver(connection: AsyncConnection) -> Driver:
    assert connection.sync_connection is not None
    return cast("Driver", connection.sync_connection.connection.driver_connection)


async def _recover(connection: AsyncConnection, driver: Driver, *, answered: bool = True) -> None:
    """Give the pool a clean connection, or none: closing it rolls back too, whatever state it is in.

    Unless all that was asked is `answered`, the driver can't tell yet whether a transaction is open: that of
    a cancelled BEGIN may be.
    """
    if answered and not driver.is_closed() and not driver.is_in_transaction():
        return
    try:
        await driver.execute("ROLLBACK", timeout=1.0)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        await connection.invalidate()
