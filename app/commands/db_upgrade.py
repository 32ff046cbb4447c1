"""`parley db upgrade`."""

from __future__ import annotations

from app.commands.common import read_settings
from app.commands.database import database_run
from app.database.embedded import embedded_postgres
from app.database.schema import upgrade


def run() -> None:
    """Bring the tables to this version's, in an embedded database that is created if need be."""
    settings = read_settings()
    if settings.database_url:
        version = database_run(upgrade(settings.database_url))
    else:
        with embedded_postgres(settings.home) as url:
            version = database_run(upgrade(url))
    print(f"The tables have version {version}.")  # noqa: T201
