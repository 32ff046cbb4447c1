"""Where the database is: `PARLEY_DATABASE_URL`, else the embedded server in Parley's home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.database.embedded import EmbeddedPostgres, embedded_postgres
from app.errors import ConfigurationError
from app.settings import Settings


def find_database(settings: Settings) -> str:
    """The URL of the database that runs. Raises ConfigurationError when there is none."""
    if settings.database_url:
        return settings.database_url
    server = EmbeddedPostgres(settings.home)
    if server.ready():
        return server.url
    raise ConfigurationError(
        f"No database: set PARLEY_DATABASE_URL, or run `parley up`, which runs one in {settings.home}"
    )


@contextmanager
def database_for_a_moment(settings: Settings) -> Iterator[str]:
    """The URL of the database, for a command that looks and goes: an embedded one that isn't running is
    started for as long. Raises ConfigurationError when there is none at all.
    """
    if settings.database_url:
        yield settings.database_url
        return
    if not EmbeddedPostgres(settings.home).initialised:
        raise ConfigurationError(
            f"No database in {settings.home}: run `parley up` once, or set PARLEY_DATABASE_URL"
        )
    with embedded_postgres(settings.home) as url:
        yield url
