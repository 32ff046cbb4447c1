"""`python -m tests.growth [--sizes N …]`: fills a database, measures at each size, prints a table."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import TOOL, connect, create_engine
from app.logs import set_up_logging
from app.worker import claims
from tests.bench.figures import p50, p99
from tests.bench.stage import ENDPOINTS, Stage, forget_environment
from tests.bench.traffic import Talk, Traffic
from tests.faults.stage import stage as running
from tests.stored import ROWS, store_ended

SIZES = (10_000, 100_000, 1_000_000)
#: Messages a second, seconds, and conversations that are talked in: half of them stored ones.
RATE, SECONDS, TALKS = 10.0, 30.0, 20
#: Conversations claimed at once, and how often that is measured.
AT_ONCE, TIMES = 50, 40

_DUE = text(
    "UPDATE conversation SET due_at = now() WHERE id IN "
    "(SELECT :last * k / :number FROM generate_series(1, :number) k)"
)
_INDEXES = """
    SELECT indexname AS name, indexdef AS definition FROM pg_indexes
    WHERE schemaname = 'public' AND tablename = ANY($1::text[]) AND indexdef LIKE 'CREATE INDEX%'
"""
_TAKEN = """
    SELECT GREATEST((SELECT last_value FROM conversation_id_seq), (SELECT last_value FROM session_id_seq),
        (SELECT last_value FROM dialog_id_seq), (SELECT last_value FROM event_id_seq) / 4,
        (SELECT last_value FROM delivery_id_seq) / 2)
"""
_WAITING = text("SELECT id FROM event WHERE conversation_id = :id AND processed_at IS NULL ORDER BY at, id")


@dataclass(frozen=True, slots=True)
class Measured:
    """At one size; times in ms."""

    size: int
    gigabytes: float
    filled: float
    reply_p50: float
    reply_p99: float
    ack_p99: float
    stolen: float
    claim: float
    sweep: float
    look: float


def main() -> int:
    """Measure at each size."""
    parser = argparse.ArgumentParser(prog="python -m tests.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    forget_environment()
    set_up_logging("WARNING")
    measured = asyncio.run(measure(sorted(options.sizes)))
    sys.stdout.write("\n" + "\n".join(table(measured)) + "\n")
    return 0


async def measure(sizes: list[int]) -> list[Measured]:
    """Fill and measure, size by size, with everything running."""
    results = []
    folder = Path(tempfile.mkdtemp(prefix="parley-growth-"))
    try:
        async with running(folder / "parley", prefect=True) as scene, Traffic(scene.bench) as traffic:
            scene.second.kill()  # one worker, as ordinary
            stage, before = scene.bench, 0
            for size in sizes:
                begun = time.monotonic()
                await fill(stage, before + 1, size)
                filled = time.monotonic() - begun
                results.append(await measure_at(stage, traffic, size, filled))
                sys.stdout.write(f"{results[-1]}\n")
                sys.stdout.flush()
                before = size
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results


async def fill(stage: Stage, first: int, last: int) -> None:
    """Store conversations up to that number, and let the database look at them."""
    connection: asyncpg.Connection[asyncpg.Record] = await connect(stage.database_url, application="growth")
    try:
        taken = int(await connection.fetchval(_TAKEN)) + 1000  # workers fetch ids by the block
        indexes = await connection.fetch(_INDEXES, list(ROWS))
        for each in indexes:  # a million rows are sorted sooner than inserted in order
            await connection.execute(f"DROP INDEX {each['name']}")
        await store_ended(connection, ENDPOINTS[0], first=max(first, taken), last=last)
        await connection.execute("SET maintenance_work_mem = '512MB'; SET statement_timeout = 0")
        for each in indexes:
            await connection.execute(each["definition"], timeout=1800)
        await connection.execute("VACUUM ANALYZE", timeout=1800)
        await connection.execute("CHECKPOINT", timeout=600)
    finally:
        await connection.close()


async def measure_at(stage: Stage, traffic: Traffic, size: int, filled: float) -> Measured:
    """What a message and a claim cost now."""
    talks = [*await traffic.talks(TALKS // 2), *await stored_talks(traffic, size)]
    await traffic.measure(await traffic.messages(talks, 5 * TALKS), RATE)
    answers = await traffic.measure(await traffic.messages(talks, int(RATE * SECONDS)), RATE)
    if answers.unanswered > answers.refused or answers.doubled:  # the load generator sends nothing again
        raise RuntimeError(f"{answers.unanswered} unanswered, {answers.refused} refused")
    engine = create_engine(stage.database_url, TOOL, application="growth")
    try:
        claim, sweep, look = await queries(engine, size)
    finally:
        await engine.dispose()
    bytes_used = await stage.ask("SELECT pg_database_size(current_database())")
    return Measured(
        size,
        bytes_used / 1e9,
        filled,
        p50(answers.replies),
        p99(answers.replies),
        p99(answers.acks),
        answers.stolen,
        claim,
        sweep,
        look,
    )


async def stored_talks(traffic: Traffic, size: int) -> list[Talk]:
    """Users who come back to conversations stored long ago, from all over the tables."""
    talks = []
    for number in range(1, TALKS // 2 + 1):
        name = f"stored-{size * number // TALKS - number}"
        talks.append(await traffic.talk_again(ENDPOINTS[0], name))
    return talks


async def queries(engine: AsyncEngine, size: int) -> tuple[float, float, float]:
    """Median ms of a claim, of a sweep, and of a look for waiting events; all of it is rolled back."""
    took: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number in range(TIMES):
        async with engine.connect() as connection:
            worker = await claims.register(
                connection, host="growth", pid=1, started=0.0, lease=timedelta(seconds=60)
            )
            await connection.execute(_DUE, {"last": size - number - 1, "number": AT_ONCE})
            begun = time.perf_counter()
            found = await claims.claim(connection, worker, {ENDPOINTS[0]: AT_ONCE}, [])
            took[0].append(time.perf_counter() - begun)
            if len(found) < AT_ONCE - TALKS:  # the worker holds those that were just talked in
                raise RuntimeError(f"{len(found)} were claimed")
            begun = time.perf_counter()
            await claims.own_due(connection, worker)
            took[1].append(time.perf_counter() - begun)
            begun = time.perf_counter()
            await connection.execute(_WAITING, {"id": found[0].conversation_id})
            took[2].append(time.perf_counter() - begun)
            await connection.rollback()
    claim, sweep, look = (median(each) * 1000 for each in took)
    return claim, sweep, look


def table(measured: list[Measured]) -> list[str]:
    """Lines of Markdown."""
    per = ", ".join(f"{number} {name}" for name, number in ROWS.items())
    lines = [
        f"Rows of each stored conversation: {per}. {RATE:g} messages a second in {TALKS} conversations, half "
        "of them among the stored ones.",
        "",
        "| stored conversations | database | reply p50, p99 (ms) | ack p99 (ms) | machine stolen meanwhile "
        "| claim of 50 (ms) | sweep (ms) | look for events (ms) |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return lines + [
        f"| {each.size:,} | {each.gigabytes:.2f} GB | {each.reply_p50:.1f}, {each.reply_p99:.1f} "
        f"| {each.ack_p99:.1f} | {each.stolen:.0%} | {each.claim:.1f} | {each.sweep:.2f} | {each.look:.2f} |"
        for each in measured
    ]


if __name__ == "__main__":
    sys.exit(main())
