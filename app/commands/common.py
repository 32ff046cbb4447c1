"""What commands share: settings, endpoints, tables on the terminal. It loads nothing that only some need."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.bots import add_bot_folders
from app.endpoints import Endpoint, Endpoints
from app.endpoints_file import load_endpoints
from app.errors import ConfigurationError
from app.loopback import is_loopback
from app.settings import Settings


def read_settings() -> Settings:
    """The process settings. Raises ConfigurationError that names every variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        wrong = [
            f"  PARLEY_{'_'.join(map(str, each['loc'])).upper()}: {each['msg'].removeprefix('Value error, ')}"
            for each in found
        ]
        raise ConfigurationError("\n".join(["wrong settings", *wrong])) from None


def read_endpoints_file(settings: Settings, *, bots: bool = False) -> Endpoints:
    """endpoints.yaml, with its bots' folder importable. `bots`: they are imported too.

    Raises ConfigurationError that names every mistake.
    """
    add_bot_folders(settings.endpoints)
    return load_endpoints(settings.endpoints, bots=bots)


def is_sandbox(endpoint: Endpoint, settings: Settings) -> bool:
    """Whether the endpoint's gateway is the sandbox of this machine."""
    parts = urlsplit(endpoint.eightxeight.base_url)
    return is_loopback(parts.hostname or "") and parts.port == settings.sandbox_port


def print_json(value: object) -> None:
    """Print a value as JSON; times in ISO 8601."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))  # noqa: T201


def counted(number: int, what: str, plural: str | None = None) -> str:
    """`1 contact`, `2 contacts`."""
    return f"{number} {what if number == 1 else plural or what + 's'}"


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
