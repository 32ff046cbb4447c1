"""Connections spoken to in asyncpg's words: what breaks on them is named, and they don't go back broken."""

from __future__ import annotations

import asyncio
import select

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.direct import Driver, direct, transaction
from app.worker.hosted import is_outage


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("another operation is in progress")])
async def test_a_connection_that_broke_down_is_an_outage_and_never_used_again(
    engine: AsyncEngine, error: Exception
) -> None:
    backends = []
    with pytest.raises(DBAPIError) as raised:
        async with direct(engine) as database:
            backends.append(await database.driver.fetchval("SELECT pg_backend_pid()"))
            raise error
    assert is_outage(raised.value)
    async with direct(engine) as database:
        assert await database.driver.fetchval("SELECT pg_backend_pid()") not in backends


async def test_a_connection_that_the_database_ended_in_a_transaction_is_an_outage(
    engine: AsyncEngine,
) -> None:
    with pytest.raises(DBAPIError) as raised:
        async with transaction(engine) as database:
            pid = await database.driver.fetchval("SELECT pg_backend_pid()")
            async with engine.connect() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await database.driver.fetchval("SELECT 1")
    assert is_outage(raised.value)
    async with transaction(engine) as database:
        assert await database.driver.fetchval("SELECT 1") == 1


async def test_of_a_beginning_that_is_cancelled_as_its_answer_comes_nothing_stays_open(
    engine: AsyncEngine,
) -> None:
    async with direct(engine) as database:  # the pool has a connection
        await database.driver.execute("SELECT 1")
    drivers: list[Driver] = []

    async def begin() -> None:
        async with direct(engine) as database:
            drivers.append(database.driver)
            await database.driver.execute("BEGIN")

    beginning = asyncio.create_task(begin())
    await asyncio.sleep(0)
    socket = drivers[0]._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # asyncpg's own
    assert select.select([socket], [], [], 5)[0], "the answer is there, and nobody has read it"
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    async with engine.begin() as connection:
        assert connection.sync_connection is not None
        assert connection.sync_connection.connection.driver_connection is drivers[0]
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
