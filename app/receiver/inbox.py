"""Storing events: one statement, one round trip, one commit, for one event or for many.

The statement locks each conversation (an upsert that makes it due) before it inserts its events, so that no
turn can null `due_at` past an event that is just being committed. What is stored already changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.errors import EventRefused
from app.receiver.pool import Connection


class Unavailable(EventRefused):
    """The event can't be stored now, so that 8x8 has to send it again."""

    def __init__(self, reason: str) -> None:
        super().__init__(503, f"The event can't be stored now: {reason}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event to be stored. `payload` is JSON text that JSONB accepts."""

    endpoint: str
    event_id: str
    external_id: str | None
    type: str
    body: bytes
    body_sha256: bytes
    payload: str
    sent_at: datetime | None
    retry: int

    @property
    def conversation(self) -> tuple[str, str] | None:
        """What the event's conversation is known by."""
        return None if self.external_id is None else (self.endpoint, self.external_id)


class Result(StrEnum):
    """What became of an event."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    MISMATCH = "mismatch"  # the same event id came before with another body


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of an event, and the conversation (its id here) it belongs to."""

    result: Result
    conversation_id: int | None


# An event without a conversation has nothing to wait for: it is processed at once.
STORE = """
WITH arrival AS MATERIALIZED (
    SELECT a.*, e.body_sha256 AS known, e.conversation_id AS known_conversation
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::text[],
                $8::timestamptz[], $9::bigint[])
         WITH ORDINALITY AS a (endpoint, event_id, external_id, type, body, body_sha256, payload,
                               sent_at, retry, number)
    LEFT JOIN event e ON e.endpoint = a.endpoint AND e.event_id = a.event_id
), touched AS (
    INSERT INTO conversation AS c (endpoint, external_id, due_at)
    SELECT DISTINCT endpoint, external_id, now()
    FROM arrival
    WHERE known IS NULL AND external_id IS NOT NULL
    ORDER BY endpoint, external_id
    ON CONFLICT (endpoint, external_id) DO UPDATE SET due_at = LEAST(COALESCE(c.due_at, now()), now())
    RETURNING id, endpoint, external_id
), stored AS (
    INSERT INTO event (endpoint, event_id, conversation_id, type, body, body_sha256, payload, sent_at, at,
                       retry, processed_at, outcome)
    SELECT a.endpoint, a.event_id, t.id, a.type, a.body, a.body_sha256, a.payload::jsonb, a.sent_at,
           GREATEST(LEAST(COALESCE(a.sent_at, now()), now() + interval '1 hour'), now() - interval '1 hour'),
           a.retry,
           CASE WHEN a.external_id IS NULL THEN now() END,
           CASE WHEN a.external_id IS NULL THEN 'noted' END
    FROM arrival a
    LEFT JOIN touched t ON t.endpoint = a.endpoint AND t.external_id = a.external_id
    WHERE a.known IS NULL
    ORDER BY a.number
    ON CONFLICT (endpoint, event_id) DO NOTHING
    RETURNING id, endpoint, event_id, conversation_id
)
SELECT s.id, COALESCE(s.conversation_id, a.known_conversation) AS conversation_id, a.known
FROM arrival a
LEFT JOIN stored s ON s.endpoint = a.endpoint AND s.event_id = a.event_id
ORDER BY a.number
"""

# Once for each event id: whoever has a set of captured headers could otherwise make any number of them.
MISMATCH = """
INSERT INTO incident (endpoint, conversation_id, kind, detail)
SELECT e.endpoint, e.conversation_id, 'body_mismatch', jsonb_build_object('event', e.id, 'type', e.type)
FROM event e
WHERE e.endpoint = $1 AND e.event_id = $2
  AND NOT EXISTS (
      SELECT 1 FROM incident i
      WHERE i.endpoint = e.endpoint AND i.resolved_at IS NULL AND i.kind = 'body_mismatch'
        AND i.detail ->> 'event' = e.id::text)
RETURNING id
"""


async def store(connection: Connection, arrivals: Sequence[Arrival]) -> list[Stored]:
    """Store events in the order given; a result for each. No two may have the same endpoint and event id.

    Committed when it returns. Raises what asyncpg raises; then nothing is stored.
    """
    results: dict[int, Stored] = {}
    left = list(range(len(arrivals)))
    for _ in range(3):
        rows = await connection.fetch(STORE, *_columns([arrivals[number] for number in left]))
        for number, row in zip(left, rows, strict=True):
            found = _stored(arrivals[number], row["id"], row["conversation_id"], row["known"])
            if found is not None:
                results[number] = found
        left = [number for number in left if number not in results]
        if not left:
            return [results[number] for number in range(len(arrivals))]
    raise Unavailable("it is being stored elsewhere")


async def report_mismatch(connection: Connection, arrival: Arrival) -> bool:
    """Make the incident of an event id that came with another body; True if it is a new one."""
    return await connection.fetchval(MISMATCH, arrival.endpoint, arrival.event_id) is not None


def _columns(arrivals: Sequence[Arrival]) -> tuple[list[object], ...]:
    return (
        [arrival.endpoint for arrival in arrivals],
        [arrival.event_id for arrival in arrivals],
        [arrival.external_id for arrival in arrivals],
        [arrival.type for arrival in arrivals],
        [arrival.body for arrival in arrivals],
        [arrival.body_sha256 for arrival in arrivals],
        [arrival.payload for arrival in arrivals],
        [arrival.sent_at for arrival in arrivals],
        [arrival.retry for arrival in arrivals],
    )


def _stored(
    arrival: Arrival, inserted: int | None, conversation: int | None, known: bytes | None
) -> Stored | None:
    """None when another process inserted it while this statement ran: the next look sees it."""
    if inserted is not None:
        return Stored(Result.STORED, conversation)
    if known is None:
        return None
    return Stored(Result.DUPLICATE if known == arrival.body_sha256 else Result.MISMATCH, conversation)
