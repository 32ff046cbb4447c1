"""The database for a command: its tables checked, its absence said in a line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import TOOL, create_engine
from app.database.location import database_for_a_moment
from app.database.schema import check
from app.errors import ConfigurationError
from app.settings import Settings

Result = TypeVar("Result")


def with_database(settings: Settings, work: Callable[[AsyncEngine], Awaitable[Result]]) -> Result:
    """Run `work` with an engine on the database, whose tables must be of this version."""

    async def run(url: str) -> Result:
        await check(url)
        engine = create_engine(url, TOOL, application="parley-tool")
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    with database_for_a_moment(settings) as url:
        return database_run(run(url))


def database_run(work: Awaitable[Result]) -> Result:
    """Run a coroutine; a database that can't be reached is a ConfigurationError, not a traceback."""

    async def run() -> Result:
        return await work

    try:
        return asyncio.run(run())
    except (
        OSError,
        asyncpg.PostgresConnectionError,
        asyncpg.InvalidAuthorizationSpecificationError,
    ) as error:
        raise ConfigurationError(f"The database can't be reached: {type(error).__name__}: {error}") from error
    except DBAPIError as error:
        cause = error.orig or error
        if error.connection_invalidated or isinstance(cause, OSError | asyncpg.PostgresConnectionError):
            raise ConfigurationError(f"The database went away: {type(cause).__name__}") from error
        raise
