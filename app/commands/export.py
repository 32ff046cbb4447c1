"""`parley export`: a view as a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.files import WRITERS, Wanted, need_pyarrow, total, write
from app.analytics.views import VIEWS
from app.commands.common import counted, read_settings
from app.commands.database import check_endpoints, with_database
from app.commands.deliveries import parse_since
from app.errors import ConfigurationError


def run(
    *,
    name: str,
    since: str | None,
    until: str | None,
    endpoints: Sequence[str],
    format: str,
    output: Path | None,
) -> None:
    """Write the rows of a view to a file or the standard output. Raises ConfigurationError."""
    view = next((view for view in VIEWS.values() if view.name.lower() == name.lower()), None)
    if view is None:
        raise ConfigurationError(f"there is no {name}; there are {', '.join(each.lower() for each in VIEWS)}")
    if format not in WRITERS:
        raise ConfigurationError(f"--format must be one of {', '.join(WRITERS)}")
    if format == "parquet":
        need_pyarrow()
        if output is None:
            raise ConfigurationError("--format parquet needs --output")
    settings, now = read_settings(), datetime.now(UTC)
    wanted = Wanted(
        view,
        since=parse_since(since, now) if since else None,
        until=parse_since(until, now) if until else None,
        endpoints=list(endpoints) or None,
    )
    check_endpoints(settings, *endpoints)
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(_opened(output)) if output else sys.stdout.buffer
        writer = WRITERS[format](view.table, file)

        async def export(engine: AsyncEngine) -> int:
            with _progress() as progress:
                rows = None if progress.disable else await total(engine, wanted)
                task = progress.add_task(name, total=rows)
                return await write(engine, wanted, writer, on_rows=lambda rows: progress.advance(task, rows))

        written = with_database(settings, export)
    print(counted(written, "row"), file=sys.stderr)  # noqa: T201


def _opened(output: Path) -> IO[bytes]:
    try:
        return output.open("wb")
    except OSError as error:
        raise ConfigurationError(f"{output} can't be written: {error.strerror}") from None


def _progress() -> Progress:
    """A bar on the terminal; nothing where the standard error is none."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
