"""A real PostgreSQL: one server a test process, one database a test, cloned from a migrated template."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.embedded import embedded_postgres
from app.database.engine import WORKER, connect, create_engine
from app.database.schema import upgrade
from app.logs import set_up_logging
from tests.scratch import scratch

#: A test's database is thrown away, so it need not survive a power cut.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}

_numbers = count(1)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of this test process's server; its `template` database was built by the real migrations."""
    with scratch("database") as home, embedded_postgres(home, settings=FORGETFUL) as url:
        asyncio.run(_execute(url, "CREATE DATABASE template"))
        asyncio.run(upgrade(_database(url, "template")))
        yield url


@pytest.fixture
async def empty_database_url(server_url: str) -> AsyncIterator[str]:
    """A database without any table."""
    async for url in _created(server_url, template="template1"):
        yield url


@pytest.fixture
async def database_url(server_url: str) -> AsyncIterator[str]:
    """A database of the test's own, with all tables and no rows."""
    async for url in _created(server_url, template="template"):
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on `database_url` with a worker's limits."""
    engine = create_engine(database_url, WORKER, application="test")
    yield engine
    await engine.dispose()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the process logs, as JSON, down to DEBUG."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.setattr("sys.stderr", stream)
    set_up_logging("INFO", "json", part="work")
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)


async def _created(server_url: str, *, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_numbers)}"
    await _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield _database(server_url, name)
    await _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def _database(server_url: str, name: str) -> str:
    return server_url.replace("/postgres?", f"/{name}?", 1)


async def _execute(url: str, statement: str) -> None:
    connection = await connect(url, application="test")
    try:
        await connection.execute(statement, timeout=60)
    finally:
        await connection.close()
