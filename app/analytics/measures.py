"""Measures of a span of time, read off the counts by the hour."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import DateTime, Text

from app.analytics.views import VIEWS

#: Counts and sums of analytics_hours, by name.
COUNTED = tuple(each.name for each in VIEWS["Hours"].table.c if not each.primary_key)

#: What there are many of: measures of analytics_parts that an overview tells.
PARTED = ("intent", "goal", "language", "drop_off", "bot_error", "handover", "queue", "dead_letter")

_AT = DateTime(timezone=True)
_SPAN = """hour >= date_trunc('hour', CAST(:since AS timestamptz), 'UTC') AND hour < :until
    AND (CAST(:endpoints AS text[]) IS NULL OR endpoint = ANY(:endpoints))"""


#: Much cheaper by the row than date_trunc with a time zone. Days are UTC's.
_STEP = "date_bin(CAST(:step AS interval), hour, timestamptz '2000-01-01 00:00:00Z')"
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


def _statement(sql: str) -> Any:
    return text(sql).bindparams(
        bindparam("since", type_=_AT),
        bindparam("until", type_=_AT),
        bindparam("endpoints", type_=ARRAY(Text)),
    )


_SERIES = _statement(
    f"""
    SELECT {_STEP} AS at, {", ".join(f"sum({name}) AS {name}" for name in COUNTED)}
    FROM rollup_hour WHERE {_SPAN} GROUP BY 1 ORDER BY 1
    """  # noqa: S608 - names of our own columns
).columns(at=TIMESTAMP(timezone=True))

_LATENCY = _statement(
    f"""
    SELECT {_STEP} AS at, bucket, analytics_bucket_seconds(bucket) AS seconds,
        sum(replies) AS replies
    FROM rollup_latency WHERE {_SPAN} GROUP BY 1, 2 ORDER BY 1, 2
    """  # noqa: S608
).columns(at=TIMESTAMP(timezone=True))

_PARTS = _statement(
    f"""
    SELECT measure, part, count FROM (
        SELECT measure, part, sum(count) AS count,
            row_number() OVER (PARTITION BY measure ORDER BY sum(count) DESC, part) AS place
        FROM rollup_part WHERE {_SPAN} AND measure <> 'event'
        GROUP BY 1, 2) AS ranked
    WHERE place <= 8 ORDER BY measure, place
    """  # noqa: S608
)

_CHANNELS = _statement(
    f"SELECT channel AS part, sum(sessions) AS count FROM rollup_hour WHERE {_SPAN} "  # noqa: S608
    "GROUP BY 1 HAVING sum(sessions) > 0 ORDER BY 2 DESC, 1 LIMIT 8"
)

#: Of the newest only: what is asked is what to teach the bot next, not a total.
_NOT_UNDERSTOOD = _statement(
    """
    SELECT left(lower(m.text), 200) AS part, count(*) AS count
    FROM (SELECT k.conversation_id, k.event_id FROM mark k
          JOIN conversation c ON c.id = k.conversation_id AND NOT c.is_test
          WHERE k.kind = 'understood' AND k.value = 'false' AND k.at >= :since AND k.at < :until
            AND (CAST(:endpoints AS text[]) IS NULL OR k.endpoint = ANY(:endpoints))
          ORDER BY k.at DESC LIMIT 500) k
    JOIN message m ON m.conversation_id = k.conversation_id AND m.event_id = k.event_id AND m.author = 'user'
    WHERE m.text <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 8
    """
)

_COMPUTED = text("SELECT max(computed_at) FROM rollup_progress")


@dataclass(frozen=True)
class Point:
    """A step of a series. `p50` and `p95` are seconds, None where there was no reply."""

    at: datetime
    counts: Mapping[str, float]
    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class Part:
    """One of what there are many of."""

    part: str
    count: int


@dataclass(frozen=True)
class Overview:
    """Measures of a span: totals, shares (None where there is nothing to divide by), series and parts."""

    totals: Mapping[str, float]
    shares: Mapping[str, float | None]
    percentiles: Mapping[int, float | None]
    series: Sequence[Point]
    parts: Mapping[str, Sequence[Part]]
    computed_at: datetime | None


async def overview(
    engine: AsyncEngine,
    *,
    since: datetime,
    until: datetime,
    step: str,
    endpoints: Sequence[str] | None = None,
) -> Overview:
    """Measures of the hours from `since` to before `until`, by `step` (hour or day)."""
    span = {"since": since, "until": until, "endpoints": list(endpoints) if endpoints else None}
    by_time = {**span, "step": _STEPS[step]}

    async def latencies() -> Sequence[Any]:
        async with engine.connect() as connection:
            return (await connection.execute(_LATENCY, by_time)).all()

    async def counts() -> tuple[Sequence[Any], dict[str, list[Part]], datetime | None]:
        async with engine.connect() as connection:
            rows = (await connection.execute(_SERIES, by_time)).mappings().all()
            parts = await _parts(connection, span)
            return rows, parts, (await connection.execute(_COMPUTED)).scalar_one()

    # Side by side: each is about half of the time that 90 days take.
    buckets, (rows, parts, computed_at) = await asyncio.gather(latencies(), counts())
    totals = {name: float(sum(row[name] for row in rows)) for name in COUNTED}
    by_step: dict[datetime, list[tuple[float, int]]] = {}
    for bucket in buckets:
        by_step.setdefault(bucket.at, []).append((bucket.seconds, int(bucket.replies)))
    counted = {row["at"]: {name: float(row[name]) for name in COUNTED} for row in rows}
    nothing = dict.fromkeys(COUNTED, 0.0)
    series = [
        Point(
            at=at,
            counts=counted.get(at, nothing),
            p50=percentile(by_step.get(at, []), 50),
            p95=percentile(by_step.get(at, []), 95),
        )
        for at in _steps(since, until, step)
    ]
    everything = [pair for pairs in by_step.values() for pair in pairs]
    return Overview(
        totals=totals,
        shares=shares(totals),
        percentiles={p: percentile(everything, p) for p in (50, 95, 99)},
        series=series,
        parts=parts,
        computed_at=computed_at,
    )


async def _parts(connection: AsyncConnection, span: Mapping[str, Any]) -> dict[str, list[Part]]:
    parts: dict[str, list[Part]] = {name: [] for name in PARTED}
    for row in (await connection.execute(_PARTS, span)).mappings():
        parts.setdefault(row["measure"], []).append(Part(row["part"], int(row["count"])))
    for name, statement in (("channel", _CHANNELS), ("not_understood", _NOT_UNDERSTOOD)):
        found = (await connection.execute(statement, span)).mappings()
        parts[name] = [Part(row["part"], int(row["count"])) for row in found]
    return parts


def _steps(since: datetime, until: datetime, step: str) -> list[datetime]:
    """Every hour or day (UTC) of a span, those without anything too."""
    at = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if step == "day":
        at = at.replace(hour=0)
    length = timedelta(days=1) if step == "day" else timedelta(hours=1)
    return [
        at + length * place for place in range(int((until - at) / length) + 1) if at + length * place < until
    ]


def percentile(buckets: Iterable[tuple[float, int]], p: float) -> float | None:
    """The value below which `p` percent lie, of (value, how many); None of nothing."""
    merged: dict[float, int] = {}
    for value, count in buckets:
        merged[value] = merged.get(value, 0) + count
    left = sum(merged.values()) * p / 100
    for value in sorted(merged):
        left -= merged[value]
        if left <= 0:
            return value
    return None


def shares(totals: Mapping[str, float]) -> dict[str, float | None]:
    """What is read as a share or a mean."""

    def per(part: str, whole: str) -> float | None:
        return totals[part] / totals[whole] if totals[whole] else None

    marked = totals["understood"] + totals["not_understood"]
    settled = totals["deliveries_sent"] + totals["deliveries_dead"]
    contained = per("contained", "sessions")
    return {
        "contained": contained,
        "handed_over": None if contained is None else 1 - contained,
        "understood": totals["understood"] / marked if marked else None,
        "delivered": totals["deliveries_sent"] / settled if settled else None,
        "returning": per("returning_contacts", "sessions"),
        "unanswered": per("unanswered", "turns"),
        "failed": per("dialogs_failed", "dialogs"),
        "first_reply_seconds": per("first_reply_seconds", "first_replies"),
        "latency_seconds": per("latency_seconds", "replies"),
        "waiting_seconds": per("waiting_seconds", "handovers_active"),
        "handling_seconds": per("handling_seconds", "handlings"),
    }
