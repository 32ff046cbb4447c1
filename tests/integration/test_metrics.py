"""`/metrics` tells what the whole installation does, from the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import asyncpg
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from app.receiver.gauges import Gauges
from app.receiver.inbox import Unavailable
from app.stats import Stats
from app.worker import claims
from tests.integration.webhooks import Scene, event, receiving


async def samples(play: Scene) -> dict[str, float]:
    """Name and labels of each sample, and its value."""
    text = (await play.admin("/metrics")).text
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_waiting_events_dead_letters_workers_and_answers_are_told(
    database_url: str, engine: AsyncEngine
) -> None:
    stats = Stats()
    for seconds in (0.02, 0.02, 3.0):
        stats.answered(seconds)
    stats.turns, stats.leases_lost = 3, 1
    stats.steps_stuck = {"support": 3}
    lease = timedelta(seconds=15)
    async with engine.begin() as connection:
        for pid in (1, 2):
            worker = await claims.register(connection, host="h", pid=pid, started=0.0, lease=lease)
            await claims.renew(connection, worker, lease, stats.to_json())
    async with receiving(database_url) as play:
        await play.post(event())
        await play.database.execute("UPDATE event SET received_at = now() - interval '1 minute'")
        await deliveries(play.database)
        found = await samples(play)
    assert found["parley_events_waiting"] == 1
    assert 59 <= found["parley_queue_age_seconds"] <= 90
    assert found["parley_dead_letters[support]"] == 2
    assert found["parley_deliveries_open[waiting]"] == 1
    assert found["parley_incidents_open[dead_letter]"] == 1
    assert (found["parley_workers_alive"], found["parley_workers_lost"]) == (2, 0)
    assert found["parley_steps_stuck[support]"] == 6
    assert (found["parley_turns_total"], found["parley_leases_lost_total"]) == (6, 2)
    assert found["parley_answer_seconds_bucket[0.01]"] == 0
    assert found["parley_answer_seconds_bucket[0.025]"] == 4
    assert found["parley_answer_seconds_count"] == 6
    assert round(found["parley_answer_seconds_sum"], 2) == 6.08


async def deliveries(database: asyncpg.Connection[asyncpg.Record]) -> None:
    """Two dead, one that waits, and the incident of one."""
    await database.execute(
        """INSERT INTO delivery (endpoint, conversation_id, status, reason, expires_at, ended_at)
           VALUES ('support', 1, 'dead', 'x', now(), now()), ('support', 1, 'dead', 'x', now(), now()),
                  ('support', 1, 'waiting', NULL, now(), NULL)"""
    )
    await database.execute("INSERT INTO incident (endpoint, kind) VALUES ('support', 'dead_letter')")


async def test_while_the_database_is_away_metrics_say_so() -> None:
    async def away() -> Mapping[str, Any]:
        raise Unavailable("the database is away")

    gauges = Gauges(away)
    await gauges.refresh()
    (only,) = gauges.collect()
    assert (only.name, only.samples[0].value) == ("parley_database_up", 0)


async def test_the_database_is_read_at_most_every_five_seconds() -> None:
    now, read = [0.0], []

    async def reads() -> Mapping[str, Any]:
        read.append(now[0])
        return {}

    gauges = Gauges(reads, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 4.9, 5.0, 9.9, 12.0):
        await gauges.refresh()
    assert read == [0.0, 5.0, 12.0]
