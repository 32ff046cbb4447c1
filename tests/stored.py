"""Conversations as they are stored after a year of use, made by the thousand in SQL.

Rows are made without checking foreign keys (they are right by construction), which needs a superuser: for
databases that tests have to themselves.
"""

from __future__ import annotations

import asyncpg

#: Rows of one ended conversation: a session, a dialog, two messages of the user (an event, a line of the
#: transcript and a journal entry each), two replies (a delivery, an attempt, a line, an entry, an echo each).
ROWS = {
    "conversation": 1,
    "session": 1,
    "dialog": 1,
    "event": 4,
    "message": 4,
    "journal": 4,
    "delivery": 2,
    "delivery_attempt": 2,
}

_ENDED = (
    """
    INSERT INTO conversation (id, endpoint, external_id, channel, state, sessions, epoch, handled_at,
        created_at)
    SELECT n, $3, 'stored-' || n, 'WebChat', 'active', 1, 1, ago(n), ago(n)
    FROM generate_series($1::bigint, $2::bigint) n
    """,
    """
    INSERT INTO session (id, conversation_id, number, started_at, last_input_at, ended_at, end_reason)
    SELECT n, n, 1, ago(n), ago(n), ago(n), 'expired'
    FROM generate_series($1::bigint, $2::bigint) n
    """,
    """
    INSERT INTO dialog (id, conversation_id, session_id, bot, seed, status, started_at, ended_at)
    SELECT n, n, n, 'flows.bots.echo:echo', n, 'completed', ago(n), ago(n)
    FROM generate_series($1::bigint, $2::bigint) n
    """,
    """
    INSERT INTO event (id, endpoint, event_id, conversation_id, type, body, body_sha256, payload, sent_at,
        received_at, at, processed_at, outcome, session_id, dialog_id)
    SELECT n * 4 + k, $3, 'stored-' || n || '-' || k, n, 'MESSAGE', decode(repeat('7b', 220), 'hex'),
        sha256(('stored' || n || k)::bytea),
        jsonb_build_object('eventType', 'MESSAGE', 'conversationId', 'stored-' || n, 'data',
            jsonb_build_object('isEcho', k % 2 = 1, 'text', 'What the user or the bot wrote, number ' || n)),
        ago(n), ago(n), ago(n), ago(n),
        CASE k % 2 WHEN 0 THEN 'input' ELSE 'echo' END, n, n
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(0, 3) k
    """,
    """
    INSERT INTO message (conversation_id, session_id, dialog_id, event_id, delivery_id, author, text, at)
    SELECT n, n, n, n * 4 + k, CASE k % 2 WHEN 1 THEN n * 2 + k / 2 END,
        CASE k % 2 WHEN 0 THEN 'user' ELSE 'bot' END,
        'What the user or the bot wrote, number ' || n, ago(n)
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(0, 3) k
    """,
    """
    INSERT INTO journal (dialog_id, position, kind, content, at, event_id)
    SELECT n, k, CASE k % 2 WHEN 0 THEN 'input' ELSE 'output' END,
        jsonb_build_object('text', 'What the user or the bot wrote, number ' || n), ago(n), n * 4 + k
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(0, 3) k
    """,
    """
    INSERT INTO delivery (id, endpoint, conversation_id, session_id, dialog_id, content, status, attempts,
        created_at, expires_at, sent_at, confirmed_at, confirmed_by, ended_at)
    SELECT n * 2 + k, $3, n, n, n, jsonb_build_object('text', 'What the bot wrote, number ' || n), 'sent', 1,
        ago(n), ago(n), ago(n), ago(n), 'echo', ago(n)
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(0, 1) k
    """,
    """
    INSERT INTO delivery_attempt (delivery_id, number, started_at, deadline_at, finished_at, status_code,
        outcome)
    SELECT n * 2 + k, 1, ago(n), ago(n), ago(n), 202, 'sent'
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(0, 1) k
    """,
)

#: When a stored conversation was: the first ones 90 days ago, the last ones yesterday.
_AGO = """
    CREATE OR REPLACE FUNCTION ago(n bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT now() - interval '1 day' - interval '89 days' * (1 - (n % 1000003) / 1000003.0) $$
"""

_SEQUENCES = """
    SELECT setval('conversation_id_seq', $1), setval('session_id_seq', $1), setval('dialog_id_seq', $1),
        setval('event_id_seq', $1 * 4 + 4), setval('delivery_id_seq', $1 * 2 + 2)
"""

_WAITING = (
    """
    INSERT INTO conversation (id, endpoint, external_id, due_at)
    SELECT n, $3, 'stored-' || n, now() - interval '1 second' * random()
    FROM generate_series($1::bigint, $2::bigint) n
    """,
    """
    INSERT INTO event (id, endpoint, event_id, conversation_id, type, body, body_sha256, payload, at)
    SELECT n * 4 + k, $3, 'stored-' || n || '-' || k, n, 'MESSAGE', '', ''::bytea,
        jsonb_build_object('eventType', 'MESSAGE', 'conversationId', 'stored-' || n, 'data',
            jsonb_build_object('isEcho', false, 'text', 'hello', 'sender',
                jsonb_build_object('id', 'u', 'type', 'user'))),
        now()
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(0, 3) k
    """,
)

#: Conversations made by one statement.
_AT_ONCE = 50_000


async def store_ended(
    connection: asyncpg.Connection[asyncpg.Record], endpoint: str, *, first: int, last: int
) -> None:
    """Ended conversations with the ids (and external ids `stored-ID`) from `first` to `last`."""
    await _store(connection, _ENDED, endpoint, first, last)


async def store_waiting(
    connection: asyncpg.Connection[asyncpg.Record], endpoint: str, *, first: int, last: int
) -> None:
    """New conversations that are due, with four messages of the user each that wait."""
    await _store(connection, _WAITING, endpoint, first, last)


async def _store(
    connection: asyncpg.Connection[asyncpg.Record],
    statements: tuple[str, ...],
    endpoint: str,
    first: int,
    last: int,
) -> None:
    await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await connection.execute("SET statement_timeout = 0")
    await connection.execute(_AGO)
    for start in range(first, last + 1, _AT_ONCE):
        end = min(start + _AT_ONCE - 1, last)
        for statement in statements:
            values = (start, end, endpoint) if "$3" in statement else (start, end)
            await connection.execute(statement, *values)
    await connection.fetch(_SEQUENCES, last)
    await connection.execute("SET session_replication_role = origin; SET synchronous_commit = on")
