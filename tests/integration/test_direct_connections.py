"""Connections spoken to in asyncpg's words: what breaks on them is named, and they don't go back broken."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.direct import direct, transaction
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
