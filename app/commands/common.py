"""What commands share: settings, endpoints, the database for a moment, tables on the terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bots import add_bot_folders
from app.database.engine import TOOL, create_engine
from app.database.location import database_for_a_moment
from app.database.schema import check
from app.endpoints import Endpoints
from app.endpoints_file import load_endpoints
from app.errors import ConfigurationError
from app.settings import Settings

Result = TypeVar("Result")


def read_settings() -> Settings:
    """The process settings. Raises ConfigurationError that names every variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"  PARLEY_{'_'.join(map(str, details['loc'])).upper()}: {details['msg']}"
            for details in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise ConfigurationError("\n".join(["wrong settings", *wrong])) from None


def read_endpoints_file(settings: Settings) -> Endpoints:
    """endpoints.yaml, with its bots' folder importable. Raises ConfigurationError."""
    add_bot_folders(settings.endpoints)
    return load_endpoints(settings.endpoints)


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


def print_json(value: object) -> None:
    """Print a value as JSON; times in ISO 8601."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))  # noqa: T201


def print_table(title: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as a table; piped, it is as wide as it needs to be."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = list(columns)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=240)
    console.print(table)


def _cell(value: object) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return "".join(char if char.isprintable() else "·" for char in str(value))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return str(value)
