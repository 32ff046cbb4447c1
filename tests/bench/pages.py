"""Measures views, console and OData on what the seed made: `python -m tests.bench.pages`.

Time is the newest conversation's, so that a seed measures alike on any day. The first figure of a row is that
of its first look, with `--restart` just after a start of the embedded PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, cast

import httpx
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access.tokens import new_token
from app.analytics.rollup import FRESH, roll_up
from app.commands.common import print_table, read_settings
from app.database.engine import connect, create_engine
from app.endpoints import Endpoints
from app.logs import set_up_logging
from app.receiver.app import create_admin_app
from app.receiver.metrics import Metrics
from app.receiver.pages import READER, admin_pages
from app.settings import Settings
from tests.bench import looks
from tests.bench.looks import Look
from tests.bench.seed import database
from tests.integration.scene import endpoint

#: Looks at each row after the first.
TIMES = 9
#: What no look may take. (ms)
LIMIT = 300.0

Statements = list[tuple[str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A seeded database with the admin port's pages before it."""

    url: str
    engine: AsyncEngine
    client: httpx.AsyncClient
    at: datetime
    conversation: int


@asynccontextmanager
async def stage(settings: Settings, url: str) -> AsyncIterator[Stage]:
    """As long as the context lasts."""
    engine = create_engine(url, READER, application="parley-bench")
    async with engine.connect() as connection:
        at = (await connection.execute(text("SELECT max(created_at) FROM conversation"))).scalar_one()
        wanted = {"endpoint": looks.endpoint(looks.NUMBER), "id": looks.external(looks.NUMBER)}
        of = text("SELECT id FROM conversation WHERE endpoint = :endpoint AND external_id = :id")
        conversation = (await connection.execute(of, wanted)).scalar_one()
    _, token = await new_token(engine, name="bench", scope="analytics", expires_at=at + timedelta(days=1))
    async with admin_pages(settings, Endpoints(endpoints=[endpoint()]), url, now=lambda: at) as pages:
        app = create_admin_app(_ready, Metrics(), *pages.routes)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(cast(Any, app)),  # each names the types of ASGI its own way
            base_url="http://127.0.0.1",
            headers={"authorization": f"Bearer {token}"},
            timeout=60,
        ) as client:
            yield Stage(url, engine, client, at, conversation)
    await engine.dispose()


async def _ready() -> str | None:
    return None


def look_at(stage: Stage, look: Look) -> Callable[[], Awaitable[None]]:
    """What takes one look and has all of the answer."""

    async def ask_database() -> None:
        async with stage.engine.connect() as connection:
            (await connection.exec_driver_sql(look.sql)).all()

    async def ask_page() -> None:
        (await stage.client.get(look.path, follow_redirects=True)).raise_for_status()

    async def count() -> None:
        async with stage.engine.connect() as connection:
            last = (
                await connection.execute(text("SELECT max(computed_at) FROM rollup_progress"))
            ).scalar_one()
        now = max(last, stage.at) + FRESH + timedelta(seconds=1)
        await roll_up(stage.engine, now=now, lately=True)

    return ask_database if look.sql else ask_page if look.path else count


async def times(look: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds of each look."""
    found = []
    for _ in range(TIMES + 1):
        begun = time.perf_counter()
        await look()
        found.append((time.perf_counter() - begun) * 1000)
    return found


@contextmanager
def statements() -> Iterator[Statements]:
    """What is asked of the database meanwhile."""
    seen: Statements = []

    def see(_: object, __: object, statement: str, values: Any, *___: object) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            seen.append((statement, tuple(values or ())))

    event.listen(Engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", see)


async def plans(stage: Stage, look: Look) -> str:
    """How the database carries out what a look asks for."""
    with statements() as seen:
        await look_at(stage, look)()
    lines = [f"\n== {look.name}"]
    connection = await connect(stage.url, application="parley-bench")
    for statement, values in seen:
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", *values)
        lines += ["", " ".join(statement.split())[:300], *(row[0] for row in rows)]
    await connection.close()
    return "\n".join(lines)


async def measure(settings: Settings, options: argparse.Namespace) -> list[dict[str, str]]:
    """A line for each row."""
    with database(settings) as url:
        async with stage(settings, url) as one:
            names = [
                *looks.views(one.at),
                *looks.pages(one.at, one.conversation),
                *looks.sets(one.at, one.conversation),
            ]
            wanted = [look for look in names if options.only in look.name]
            if not options.restart:
                return [await line(one, look, options) for look in wanted]
    lines = []
    for look in wanted:
        with database(settings) as url:
            async with stage(settings, url) as one:
                lines.append(await line(one, look, options))
    return lines


async def line(one: Stage, look: Look, options: argparse.Namespace) -> dict[str, str]:
    """Measure a row."""
    first, *warm = await times(look_at(one, look))
    if options.plans:
        sys.stdout.write(await plans(one, look) + "\n")
    best, middle = min(warm), median(warm)
    slow = "slow" if middle >= LIMIT else ""
    return {"what": look.name, "first": _ms(first), "best": _ms(best), "median": _ms(middle), "": slow}


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pages", description=__doc__)
    parser.add_argument("--plans", action="store_true", help="show how the database carries each out")
    parser.add_argument("--restart", action="store_true", help="start PostgreSQL anew before each row")
    parser.add_argument("--only", default="", metavar="WORDS", help="only rows with these words")
    options = parser.parse_args()
    set_up_logging("WARNING")
    before = os.getloadavg()[0]
    rows = asyncio.run(measure(read_settings(), options))
    print_table("Milliseconds", ["what", "first", "best", "median", ""], rows)
    sys.stdout.write(
        f"\nload {before:.1f} before, {os.getloadavg()[0]:.1f} after, of {os.cpu_count()} cores\n"
    )


if __name__ == "__main__":
    main()
