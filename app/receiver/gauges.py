"""What the database knows of the whole installation, for `/metrics`: read at most every few seconds.

Workers write their counts into their rows; those of workers that ended stay until their rows are deleted, so
that sums only grow.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.receiver.inbox import Unavailable
from app.stats import BUCKETS

#: Seconds that an answer is good for.
GOOD_FOR = 5.0

#: Partial indexes answer all of it: each part reads what is open, waiting or dead, and nothing else.
READ = """
SELECT
    (SELECT count(*) FROM event WHERE processed_at IS NULL) AS events_waiting,
    (SELECT COALESCE(EXTRACT(EPOCH FROM now() - min(received_at)), 0)::float8 FROM event
     WHERE processed_at IS NULL) AS oldest_event_seconds,
    (SELECT count(*) FROM conversation WHERE due_at <= now()) AS conversations_due,
    (SELECT count(*) FROM conversation WHERE owner IS NOT NULL) AS conversations_open,
    (SELECT count(*) FROM session WHERE ended_at IS NULL) AS sessions_open,
    (SELECT count(*) FROM worker WHERE stopped_at IS NULL AND alive_until > now()) AS workers_alive,
    (SELECT count(*) FROM worker WHERE stopped_at IS NULL AND alive_until <= now()) AS workers_lost,
    (SELECT COALESCE(jsonb_object_agg(status, n), '{}') FROM (
        SELECT status, count(*) AS n FROM delivery
        WHERE status IN ('waiting', 'sending', 'in_doubt') GROUP BY status) x) AS deliveries,
    (SELECT COALESCE(jsonb_object_agg(endpoint, n), '{}') FROM (
        SELECT endpoint, count(*) AS n FROM delivery WHERE status = 'dead' GROUP BY endpoint) x) AS dead,
    (SELECT COALESCE(jsonb_object_agg(kind, n), '{}') FROM (
        SELECT kind, count(*) AS n FROM incident WHERE resolved_at IS NULL GROUP BY kind) x) AS incidents,
    (SELECT COALESCE(jsonb_object_agg(key, n), '{}') FROM (
        SELECT key, sum(value::int) AS n FROM worker w, jsonb_each_text(w.stats -> 'steps_stuck')
        WHERE w.stopped_at IS NULL AND w.alive_until > now() GROUP BY key) x) AS steps_stuck,
    (SELECT COALESCE(jsonb_agg(stats), '[]') FROM worker WHERE stats <> '{}') AS stats
"""

_GAUGES = {
    "events_waiting": ("parley_events_waiting", "Events that no worker has handled yet."),
    "oldest_event_seconds": ("parley_queue_age_seconds", "Age of the oldest of them."),
    "conversations_due": ("parley_conversations_due", "Conversations with something to do now."),
    "conversations_open": ("parley_conversations_open", "Conversations that a worker has open."),
    "sessions_open": ("parley_sessions_open", "Sessions that have not ended."),
    "workers_alive": ("parley_workers_alive", "Workers that show signs of life."),
    "workers_lost": ("parley_workers_lost", "Workers whose lease ran out."),
}

Read = Callable[[], Awaitable[Mapping[str, Any]]]


class Gauges(Collector):
    """Collected from the last reading; `refresh` reads again when that is too old."""

    def __init__(self, read: Read, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._at = float("-inf")
        self._row: Mapping[str, Any] | None = None

    async def refresh(self) -> None:
        """Read again, unless that was done a moment ago. While the database is away there is no reading."""
        now = self._clock()
        if now - self._at < GOOD_FOR:
            return
        self._at = now
        try:
            self._row = await self._read()
        except Unavailable:
            self._row = None

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        yield GaugeMetricFamily("parley_database_up", "Whether the database answered.", self._row is not None)
        row = self._row
        if row is None:
            return
        for name, (metric, help) in _GAUGES.items():
            yield GaugeMetricFamily(metric, help, row[name])
        yield _by("parley_deliveries_open", "Deliveries not settled.", "status", row["deliveries"])
        yield _by("parley_dead_letters", "Deliveries that died.", "endpoint", row["dead"])
        yield _by("parley_incidents_open", "Incidents nobody resolved.", "kind", row["incidents"])
        yield _by(
            "parley_steps_stuck", "Threads with a step nobody waits for.", "endpoint", row["steps_stuck"]
        )
        yield from _of_workers(msgspec.json.decode(row["stats"]))


def _by(name: str, help: str, label: str, counts: str) -> Metric:
    family = GaugeMetricFamily(name, help, labels=[label])
    for value, count in msgspec.json.decode(counts).items():
        family.add_metric([value], count)
    return family


def _of_workers(stats: list[dict[str, Any]]) -> Iterator[Metric]:
    for name, metric, help in (
        ("turns", "parley_turns", "Turns of bots."),
        ("leases_lost", "parley_leases_lost", "Conversations lost to another worker while they were open."),
        ("failures", "parley_conversation_failures", "Conversations that could not be handled."),
    ):
        yield CounterMetricFamily(metric, help, sum(each.get(name, 0) for each in stats))
    classes = [0] * (len(BUCKETS) + 1)
    for each in stats:
        for index, count in enumerate(each.get("answers", [])[: len(classes)]):
            classes[index] += count
    total, buckets = 0, []
    for end, count in zip([*map(str, BUCKETS), "+Inf"], classes, strict=True):
        total += count
        buckets.append((end, float(total)))
    seconds = sum(each.get("answer_seconds", 0.0) for each in stats)
    help = "From an input's arrival until it was answered, the first sending included."
    yield HistogramMetricFamily("parley_answer_seconds", help, buckets=buckets, sum_value=seconds)
