"""The views analysts use, as migration 0002 makes them. A later change is a migration with views of its own."""

# ruff: noqa: E501 - SQL and what its columns mean, a line each

from __future__ import annotations

from collections.abc import Iterator

from migrations.analytics_v1 import happenings, people, rollups, talks, timeline
from migrations.analytics_v1.view import View

VIEWS: tuple[View, ...] = (
    talks.CONVERSATIONS,
    talks.SESSIONS,
    talks.MESSAGES,
    talks.TURNS,
    people.HANDOVERS,
    people.CONTACTS,
    happenings.DELIVERIES,
    happenings.RUNS,
    happenings.EVENTS,
    happenings.MARKS,
    timeline.TIMELINE,
    rollups.HOURS,
    rollups.LATENCY,
    rollups.PARTS,
)

#: Buckets of response times, each a tenth wider than the one before: a percentile taken from them is at most
#: a twentieth off.
FUNCTIONS = (
    """
    CREATE FUNCTION analytics_seconds(since timestamptz, until timestamptz) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN until >= since THEN CAST(extract(epoch FROM until - since) AS double precision)
        WHEN until < since THEN 0 END $$
    """,
    """
    CREATE FUNCTION analytics_bucket(seconds double precision) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CAST(floor(ln(GREATEST(seconds * 1000, 1)) / ln(1.1)) AS bigint) $$
    """,
    """
    CREATE FUNCTION analytics_bucket_seconds(bucket bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT power(1.1, bucket + 0.5) / 1000 $$
    """,
)


def statements() -> Iterator[str]:
    """What makes the functions and views, with their comments."""
    yield from FUNCTIONS
    yield "COMMENT ON FUNCTION analytics_seconds IS 'Seconds from since to until, never negative'"
    yield "COMMENT ON FUNCTION analytics_bucket IS 'The bucket of analytics_latency a time in seconds is in'"
    yield "COMMENT ON FUNCTION analytics_bucket_seconds IS 'The middle of a bucket of analytics_latency, in seconds'"
    yield timeline.HAPPENING
    for view in VIEWS:
        yield from view.statements()


def removal() -> Iterator[str]:
    """What takes them away."""
    for view in reversed(VIEWS):
        yield f"DROP VIEW {view.name}"
    yield "DROP VIEW happening"
    yield "DROP FUNCTION analytics_bucket_seconds(bigint)"
    yield "DROP FUNCTION analytics_seconds(timestamptz, timestamptz)"
    yield "DROP FUNCTION analytics_bucket(double precision)"
