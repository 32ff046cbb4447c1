"""`parley conversations list`, `show` and `redrive`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.common import counted, print_json, print_table, read_settings
from app.commands.database import check_endpoints, with_database
from app.conversation.redrive_inputs import redrive_inputs
from app.conversation.timeline import Happening, find_conversations, list_conversations, timeline
from app.errors import ConfigurationError


def run_list(*, endpoint: str | None, limit: int, as_json: bool) -> None:
    """Print conversations, those with the newest events first."""
    settings = read_settings()
    check_endpoints(settings, endpoint)
    rows = with_database(settings, lambda engine: list_conversations(engine, endpoint=endpoint, limit=limit))
    if as_json:
        print_json(rows)
        return
    columns = [
        "id",
        "endpoint",
        "external_id",
        "channel",
        "control",
        "dialog",
        "last_event",
        "due_at",
        "owner",
    ]
    print_table(counted(len(rows), "conversation"), [*columns, "undelivered", "dead", "quarantined_at"], rows)


def run_show(name: str, *, as_json: bool) -> None:
    """Print one conversation's timeline. Raises ConfigurationError where there is none."""

    async def read(engine: AsyncEngine) -> list[tuple[dict[str, Any], list[Happening]]]:
        found = await find_conversations(engine, name)
        return [(conversation, await timeline(engine, conversation["id"])) for conversation in found]

    found = with_database(read_settings(), read)
    if not found:
        raise ConfigurationError(f"there is no conversation {name}")
    if as_json:
        print_json(
            [{"conversation": row, "timeline": [asdict(each) for each in story]} for row, story in found]
        )
        return
    for conversation, story in found:
        title = f"{conversation['endpoint']} · {conversation['external_id']} (number {conversation['id']})"
        print_table(title, ["at", "kind", "id", "summary"], [asdict(each) for each in story])


def run_redrive(names: list[str]) -> None:
    """Redrive quarantined conversations. Raises ConfigurationError where one isn't quarantined."""

    async def redrive(engine: AsyncEngine) -> tuple[list[str], list[str]]:
        done, left = [], []
        for name in names:
            found = await find_conversations(engine, name)
            counts = [await redrive_inputs(engine, row["id"]) for row in found]
            events = [len(each) for each in counts if each is not None]
            if events:
                done.append(f"{name}: {sum(events)} events wait again")
            else:
                left.append(name)
        return done, left

    done, left = with_database(read_settings(), redrive)
    for line in done:
        print(line)  # noqa: T201
    if left:
        raise ConfigurationError(f"unknown or not quarantined: {', '.join(left)}")
