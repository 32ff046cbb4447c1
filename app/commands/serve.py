"""`parley serve`: the receiver alone."""

from __future__ import annotations

from app.commands.common import read_endpoints_file, read_settings
from app.commands.database import database_run
from app.database.location import find_database
from app.database.schema import check
from app.logs import set_up_logging


def run() -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigurationError, for an old schema too."""
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format, part="serve")
    endpoints = read_endpoints_file(settings)
    database_url = find_database(settings)
    database_run(check(database_url))

    from app.receiver.main import run as receive

    receive(settings, endpoints, database_url=database_url)
