"""Fills a database with conversations, to see how views and pages do with many: `python -m tests.bench.seed`.

All is made in the database by generate_series, in order of time and in batches, so that it lies as if it had
come by webhooks. What a conversation is like follows from its number: two runs make the same rows.
"""

# ruff: noqa: E501 - SQL

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import asyncpg

from app.analytics.rollup import roll_up
from app.commands.common import read_settings
from app.database.embedded import embedded_postgres
from app.database.engine import TOOL, connect, create_engine
from app.database.schema import upgrade
from app.settings import Settings

#: Conversations of a batch.
BATCH = 20_000

#: :from and :to are the batch, :all how many there will be, :days over how long, :now the end.
_MADE = """
    CREATE TEMP TABLE made ON COMMIT DROP AS
    SELECT n, $4::timestamptz - make_interval(secs => $3 * 86400.0 * ($5 - n) / $5) AS at,
        (ARRAY['support', 'support', 'sales', 'billing'])[1 + n % 4] AS endpoint,
        (ARRAY['WebChat', 'WebChat', 'WhatsApp', 'SMS', 'Facebook'])[1 + n / 7 % 5] AS channel,
        (ARRAY['en', 'en', 'de', 'fr', 'es'])[1 + n / 3 % 5] AS language,
        hashint8(n) & 65535 AS dice, nextval('conversation_id_seq') AS conversation,
        nextval('session_id_seq') AS session, nextval('dialog_id_seq') AS dialog, nextval('contact_id_seq') AS contact
    FROM generate_series($1::bigint, $2::bigint) n
"""

_ROWS = (
    """
    INSERT INTO contact (id, endpoint, identity, profile, first_seen_at, last_seen_at)
    SELECT contact, endpoint, 'user:u' || n, jsonb_build_object('name', 'User ' || n, 'userId', 'u' || n,
        'email', 'user' || n || '@example.com', 'language', language), at, at + interval '5 minutes' FROM made
    """,
    """
    INSERT INTO conversation (id, endpoint, external_id, contact_id, channel, state, state_at, handled_at, epoch,
        sessions, is_test, created_at)
    SELECT conversation, endpoint, 'seed-' || lpad(n::text, 9, '0'), contact, channel, 'active', at,
        at + interval '3 minutes', 1, 1, dice % 500 = 0, at FROM made
    """,
    """
    INSERT INTO session (id, conversation_id, number, started_at, last_input_at, ended_at, end_reason, runs)
    SELECT session, conversation, 1, at, at + interval '3 minutes', at + interval '40 minutes', 'expired', 1 FROM made
    """,
    """
    INSERT INTO dialog (id, conversation_id, session_id, bot, seed, status, error, started_at, ended_at)
    SELECT dialog, conversation, session, 'flows.bots.orders:orders', n,
        CASE WHEN dice % 200 = 1 THEN 'failed' WHEN dice % 5 = 0 THEN 'closed' ELSE 'completed' END,
        CASE WHEN dice % 200 = 1 THEN 'KeyError at flows/bots/orders.py:' || dice % 90 END,
        at, at + interval '4 minutes' FROM made
    """,
    """
    INSERT INTO session_run (session_id, conversation_id, number, flow_run_id, name, state, turns, opened_at, ended_at)
    SELECT session, conversation, 1, gen_random_uuid(), endpoint || ' · seed-' || n || ' · 1.1', 'Completed', 3,
        at, at + interval '5 minutes' FROM made
    """,
    """
    CREATE TEMP TABLE inputs ON COMMIT DROP AS
    SELECT m.*, k, nextval('event_id_seq') AS event, at + make_interval(secs => 60 * k) AS moment,
        (hashint8(n * 31 + k) & 65535) / 65536.0 AS luck
    FROM made m, generate_series(0, 2) k
    """,
    """
    INSERT INTO event (id, endpoint, event_id, conversation_id, type, body_sha256, payload, sent_at, received_at, at,
        processed_at, outcome, session_id, dialog_id)
    SELECT event, endpoint, 'seed-' || event, conversation, 'MESSAGE', '\\x00', '{"eventType": "MESSAGE"}',
        moment, moment, moment, moment + interval '5 milliseconds', 'input', session, dialog FROM inputs
    """,
    """
    INSERT INTO event (endpoint, event_id, conversation_id, type, body_sha256, payload, sent_at, received_at, at,
        processed_at, outcome, session_id)
    SELECT endpoint, 'seed-update-' || n, conversation, 'CONVERSATION_UPDATE', '\\x00', '{}',
        at, at, at, at + interval '5 milliseconds', 'noted', session FROM made
    """,
    """
    INSERT INTO message (conversation_id, session_id, dialog_id, event_id, author, text, at)
    SELECT conversation, session, dialog, event, 'user', 'Where is my order ' || dice % 4000 || '?', moment FROM inputs
    """,
    """
    CREATE TEMP TABLE replies ON COMMIT DROP AS
    SELECT i.*, nextval('delivery_id_seq') AS delivery,
        moment + make_interval(secs => 0.004 + 0.02 * luck * luck + CASE WHEN luck > 0.99 THEN 3 * luck ELSE 0 END)
            AS sent,
        CASE WHEN luck > 0.999 THEN 'dead' ELSE 'sent' END AS status
    FROM inputs i WHERE luck > 0.002
    """,
    """
    INSERT INTO delivery (id, endpoint, conversation_id, session_id, dialog_id, event_id, content, status, attempts,
        created_at, expires_at, sent_at, confirmed_at, confirmed_by, ended_at, reason)
    SELECT delivery, endpoint, conversation, session, dialog, event, '{"text": "It is on its way."}', status,
        CASE WHEN luck > 0.99 THEN 2 ELSE 1 END, moment, moment + interval '10 minutes',
        CASE WHEN status = 'sent' THEN sent END, CASE WHEN status = 'sent' THEN sent + interval '1 second' END,
        CASE WHEN status = 'sent' THEN 'echo' END, sent, CASE WHEN status = 'dead' THEN 'refused with 400' END
    FROM replies
    """,
    """
    INSERT INTO delivery_attempt (delivery_id, number, started_at, deadline_at, finished_at, status_code, outcome)
    SELECT delivery, 1, moment, moment + interval '10 seconds', sent, 202, 'sent' FROM replies
    """,
    """
    INSERT INTO message (conversation_id, session_id, dialog_id, delivery_id, author, text, at)
    SELECT conversation, session, dialog, delivery, 'bot', 'It is on its way.', sent FROM replies
    """,
    """
    INSERT INTO mark (endpoint, conversation_id, session_id, dialog_id, event_id, kind, value, at)
    SELECT endpoint, conversation, session, dialog, event, 'understood', (luck > 0.1)::text, moment FROM inputs
    UNION ALL
    SELECT endpoint, conversation, session, dialog, event, 'intent',
        (ARRAY['order', 'refund', 'hours', 'person'])[1 + dice % 4], moment FROM inputs WHERE k = 0
    """,
    """
    INSERT INTO handover (endpoint, conversation_id, session_id, dialog_id, queue, status, reason, requested_at,
        queued_at, active_at, ended_at, events_since, agents)
    SELECT endpoint, conversation, session, dialog, (ARRAY['101', '102', '103'])[1 + dice % 3],
        CASE dice % 12 WHEN 0 THEN 'timed_out' WHEN 1 THEN 'cancelled' ELSE 'completed' END, NULL,
        at + interval '3 minutes', at + interval '3 minutes 1 second',
        CASE WHEN dice % 12 > 1 THEN at + interval '3 minutes' + make_interval(secs => dice % 120) END,
        at + interval '20 minutes', at, CASE WHEN dice % 12 > 1 THEN '["a"]'::jsonb ELSE '[]' END
    FROM made WHERE dice % 13 = 0
    """,
)


async def seed(url: str, conversations: int, days: float, now: datetime) -> None:
    """Make so many conversations over the last `days`."""
    connection = await connect(url, application="parley-seed")
    began = time.monotonic()
    try:
        await connection.execute("SET synchronous_commit = off")
        for first in range(1, conversations + 1, BATCH):
            last = min(first + BATCH - 1, conversations)
            await _batch(connection, first, last, conversations, days, now)
            rate = last / (time.monotonic() - began)
            print(f"{last:>10,} conversations, {rate:,.0f} a second", flush=True)  # noqa: T201
        await connection.execute("VACUUM (ANALYZE)", timeout=3600)
    finally:
        await connection.close()


async def count(url: str, now: datetime) -> None:
    """Count all hours, as the flow roll-up does."""
    engine = create_engine(url, TOOL, application="parley-seed")
    await roll_up(engine, now=now, on_hour=_say_days)
    await engine.dispose()


def _say_days(hour: datetime) -> None:
    if hour.hour == 0:
        print(f"counted up to {hour:%Y-%m-%d}", flush=True)  # noqa: T201


async def _batch(
    connection: asyncpg.Connection[asyncpg.Record],
    first: int,
    last: int,
    conversations: int,
    days: float,
    now: datetime,
) -> None:
    async with connection.transaction():
        await connection.execute(_MADE, first, last, float(days), now, float(conversations), timeout=600)
        for statement in _ROWS:
            await connection.execute(statement, timeout=600)


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The database that was set, else an embedded one, which runs as long as the context lasts."""
    if settings.database_url:
        yield settings.database_url
        return
    with embedded_postgres(settings.home) as url:
        yield url


def main() -> None:
    """Read the command line and fill Parley's database, whose other rows stay."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.seed", description=__doc__)
    parser.add_argument("conversations", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--days", type=float, default=90)
    given = parser.parse_args()
    now = datetime.now(UTC)
    with database(read_settings()) as url:
        asyncio.run(upgrade(url))
        asyncio.run(seed(url, given.conversations, given.days, now))
        asyncio.run(count(url, now))


if __name__ == "__main__":
    main()
