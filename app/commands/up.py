"""`parley up`: everything on this machine."""

from __future__ import annotations

import sys

from app.commands.common import read_endpoints_file, read_settings
from app.errors import ConfigurationError
from app.logs import set_up_logging
from app.supervisor.up import main


def run(*, sandbox: bool) -> int:
    """Run until SIGINT or SIGTERM; the exit code, 1 when a part can't start."""
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format, part="up")
    endpoints = read_endpoints_file(settings, bots=True)
    try:
        return main(settings, endpoints, sandbox=sandbox)
    except ConfigurationError as error:
        print(f"parley up: {error}", file=sys.stderr)  # noqa: T201
        return 1
