"""`parley reload`: every receiver, worker and sandbox reads endpoints.yaml again."""

from __future__ import annotations

import sys

from app.commands.common import read_settings
from app.commands.database import database_run
from app.database.location import find_database
from app.errors import ConfigurationError
from app.reloading import ask


def run() -> int:
    """Print each process's answer; 1 when one refused the file. Raises ConfigurationError without any."""
    answers = database_run(ask(find_database(read_settings())))
    if not answers:
        raise ConfigurationError("no receiver, worker or sandbox answered: is Parley running?")
    for answer in sorted(answers, key=lambda each: (each.part, each.host, each.pid)):
        who = f"{answer.part} {answer.pid} on {answer.host}"
        if answer.ok:
            print(f"{who}: reloaded")  # noqa: T201
        else:
            print(f"{who}: nothing changed: {answer.reason}", file=sys.stderr)  # noqa: T201
    return 0 if all(answer.ok for answer in answers) else 1
