"""`parley work`: a worker alone."""

from __future__ import annotations

import os
from typing import NoReturn

import structlog

from app.commands.common import read_endpoints_file, read_settings
from app.commands.database import database_run
from app.database.location import find_database
from app.database.schema import check
from app.logs import set_up_logging
from app.prefect_environment import prefect_environment
from app.processes import end_process

log = structlog.get_logger(__name__)


def run() -> NoReturn:
    """Work until SIGINT or SIGTERM, and end the process. Raises ConfigurationError, for an old schema too."""
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format, part="work")
    endpoints = read_endpoints_file(settings, bots=True)
    database_url = find_database(settings)
    database_run(check(database_url))
    os.environ.update(prefect_environment(settings))  # before Prefect is imported

    from app import worker
    from flows.runs import PrefectRuns

    results = settings.home.expanduser().absolute() / "prefect" / "results"
    code = 1
    try:
        code = worker.run(
            settings, endpoints, database_url=database_url, make_runs=lambda: PrefectRuns(results)
        )
    except Exception as error:
        log.critical("worker_failed", error=type(error).__name__, exc_info=True)
    finally:
        end_process(code)
