"""Which version the database's tables have, and bringing them to this code's version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

import migrations
from app.database.engine import TOOL, create_engine
from app.errors import ConfigurationError, SchemaOutdated

#: 14.9 is the oldest release the tables and statements are written for.
OLDEST_POSTGRESQL = 140009
#: An arbitrary number all of Parley's migrations agree on: two at once take turns.
MIGRATION_LOCK = 7_165_839_412_310_048


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration: where the migrations are, and the connection they run on."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The version this code was written for."""
    newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if newest is None:
        raise ConfigurationError("This installation has no migrations")
    return newest


async def upgrade(url: str | URL, *, revision: str = "head") -> str:
    """Bring the tables to `revision` in one transaction and return the version reached.

    Raises ConfigurationError for a PostgreSQL that is too old, SchemaOutdated for tables that are too new.
    """

    head()

    def run(connection: Connection) -> str:
        _known(_current(connection))
        command.upgrade(alembic_config(connection), revision)
        return _current(connection) or ""

    engine = create_engine(url, TOOL, application="parley-migrate")
    try:
        async with engine.begin() as connection:
            await _check_server(connection)
            await _take_turn(connection)
            return await connection.run_sync(run)
    finally:
        await engine.dispose()


async def current(url: str | URL) -> str | None:
    """The version the tables have; None for a database without any."""
    engine = create_engine(url, TOOL, application="parley-schema")
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
    finally:
        await engine.dispose()


async def check(url: str | URL) -> None:
    """Raise SchemaOutdated unless the tables have exactly the version this code was written for."""
    found = await current(url)
    _known(found)
    if found != head():
        raise SchemaOutdated(
            f"The database's tables have version {found or 'none'}, this code needs {head()}: "
            "run `parley db upgrade`"
        )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaOutdated(
            f"The database's tables have version {found}, newer than this code: install a newer Parley"
        )


async def _take_turn(connection: AsyncConnection) -> None:
    """Wait minutes for another migration, then only seconds for any table's lock.

    The receiver and workers queue up behind a migration that waits for a table. One that fails changes
    nothing and can be run again.
    """
    await connection.execute(text("SET LOCAL lock_timeout = '15min'"))
    await connection.execute(text("SET LOCAL statement_timeout = '15min'"))
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    await connection.execute(text("SET LOCAL lock_timeout = '5s'"))


async def _check_server(connection: AsyncConnection) -> None:
    number = int((await connection.execute(text("SHOW server_version_num"))).scalar_one())
    if number < OLDEST_POSTGRESQL:
        raise ConfigurationError(
            f"PostgreSQL 14.9 or newer is needed, this one is {number // 10000}.{number % 10000}"
        )
