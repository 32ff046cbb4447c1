"""The database for a command: its tables checked, its absence said in a line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import TOOL, create_engine
from app.database.location import database_for_a_moment
from app.database.schema import check
from app.endpoints_file import load_endpoints
from app.errors import ConfigurationError
from app.settings import Settings

Result = TypeVar("Result")

_ENDPOINTS = text("SELECT DISTINCT endpoint FROM conversation")


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


def check_endpoints(settings: Settings, *names: str | None) -> None:
    """Raises ConfigurationError for a name that is neither in endpoints.yaml nor in the database."""
    try:
        known = {endpoint.name for endpoint in load_endpoints(settings.endpoints).endpoints}
    except ConfigurationError:
        known = set()  # it is not needed here
    if not set(names) - known - {None}:
        return

    async def stored(engine: AsyncEngine) -> set[str]:
        async with engine.connect() as connection:
            return set((await connection.execute(_ENDPOINTS)).scalars())

    known |= with_database(settings, stored)
    for name in names:
        if name is not None and name not in known:
            raise ConfigurationError(
                f"there is no endpoint {name}; known are {', '.join(sorted(known)) or 'none'}"
            )


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
