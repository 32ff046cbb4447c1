"""The transactions of a delivery: taken, tried, settled.

    waiting ──take──▶ sending ──▶ sent
       ▲                 │──▶ dead        refused, or past its age
       ├── retry ────────┤
       │                 ▼
       └─ not there ── in_doubt ── found, or its echo came ──▶ sent

One delivery of a conversation is sending or in doubt at a time, and only the first open one is ever touched:
that is the order. What is sending or in doubt comes first, whatever its place. `next_attempt_at` says when to
look at it again; while sending, when somebody else may.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from app.conversation.backoff import backoff
from app.conversation.draft import DOUBT_AFTER
from app.conversation.handover.late import obsolete
from app.conversation.owned import Owned, due, settling
from app.conversation.pauses import Pauses
from app.conversation.state import ConversationState
from app.conversation.store import insert_rows
from app.endpoints import Endpoint
from app.gateway.outcome import InDoubt, Refused, Retry, Sent, Unauthorized
from app.sealing import unseal

#: Between two looks at what really arrived.
READ_AGAIN = timedelta(seconds=2)
#: Looks before a delivery that isn't there is sent again.
READINGS = 2
#: What follows in a reason are 8x8's own words.
QUOTE = ": "

_HEAD = """
SELECT id, kind, content, status, attempts, readings, expires_at, next_attempt_at, in_doubt_since
FROM delivery
WHERE conversation_id = $1 AND status IN ('waiting', 'sending', 'in_doubt')
ORDER BY status = 'waiting', place LIMIT 1
"""

_SENDING = """
UPDATE delivery SET status = 'sending', attempts = attempts + 1, next_attempt_at = $2 WHERE id = $1
"""

_FINISH_ATTEMPT = """
UPDATE delivery_attempt SET finished_at = $3, outcome = $4, status_code = $5, error = $6
WHERE delivery_id = $1 AND number = $2 AND finished_at IS NULL
"""

# What has ended stays so: an echo may end the doubt while 8x8 is being asked.

#: That delivery $2 was sent by its attempt $3, at $4 with status $5: two parts of a WITH.
SENT = """sent AS (
    UPDATE delivery SET status = 'sent', sent_at = COALESCE(sent_at, $4), ended_at = $4,
        next_attempt_at = NULL
    WHERE id = $2{condition}
), attempt AS (
    UPDATE delivery_attempt SET finished_at = $4, outcome = 'sent', status_code = $5
    WHERE delivery_id = $2 AND number = $3 AND finished_at IS NULL{condition}
)"""

#: A delivery of several was sent: what is the next one? Where there is none, `due_at` is set too.
_SENT_AND_NEXT = """
WITH {sent}, next AS MATERIALIZED (
    SELECT id, kind, content, status, attempts, readings, expires_at, next_attempt_at, in_doubt_since
    FROM delivery
    WHERE conversation_id = $1 AND status IN ('waiting', 'sending', 'in_doubt') AND id <> $2
    ORDER BY status = 'waiting', place LIMIT 1
), settled AS (
    {settling}
)
SELECT next.*, settled.due FROM (SELECT) one LEFT JOIN next ON true LEFT JOIN settled ON true
""".format(  # noqa: S608 - constants only
    sent=SENT.format(condition=""),
    settling=settling(due(), "c.id = $1 AND NOT EXISTS (SELECT FROM next)"),
)

_FOUND = """
UPDATE delivery SET status = 'sent', sent_at = COALESCE(sent_at, $2), ended_at = $2, next_attempt_at = NULL,
    confirmed_at = COALESCE(confirmed_at, $2), confirmed_by = COALESCE(confirmed_by, 'read_back')
WHERE id = $1 AND ended_at IS NULL
"""

_WAIT = """
UPDATE delivery SET status = 'waiting', next_attempt_at = $2 WHERE id = $1 AND ended_at IS NULL
"""

_DOUBT = """
UPDATE delivery SET status = 'in_doubt', in_doubt_since = COALESCE(in_doubt_since, $2),
    readings = $3, next_attempt_at = $4
WHERE id = $1 AND ended_at IS NULL
"""

_END = """
UPDATE delivery SET status = $2, reason = $3, ended_at = $4, next_attempt_at = NULL
WHERE id = $1 AND ended_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery taken: its request may go out now, once."""

    delivery_id: int
    number: int
    kind: str
    content: dict[str, Any]
    expires_at: datetime
    taken_at: datetime
    alone: bool = False
    """As far as is known no other delivery of the conversation is open."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A delivery in doubt whose conversation is to be read back."""

    delivery_id: int
    number: int
    content: dict[str, Any]
    readings: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Later:
    """The first open delivery is not due before `at`."""

    at: datetime


Head = Sending | Reading | Later | None


def first_attempt(
    row: dict[str, Any], now: datetime, timeout: float, *, alone: bool
) -> tuple[Sending, dict[str, Any]]:
    """Mark a new delivery's row as being sent; what to send, and its attempt's row."""
    row.update({"status": "sending", "attempts": 1, "next_attempt_at": now + DOUBT_AFTER})
    sending = Sending(row["id"], 1, row["kind"], row["content"], row["expires_at"], now, alone)
    return sending, _attempt(row["id"], 1, now, timeout)


def not_yet(row: dict[str, Any]) -> None:
    """Take that back: something else is to be sent first."""
    row.update({"status": "waiting", "attempts": 0, "next_attempt_at": None})


def _attempt(delivery_id: int, number: int, now: datetime, timeout: float) -> dict[str, Any]:
    return {
        "delivery_id": delivery_id,
        "number": number,
        "started_at": now,
        "deadline_at": now + timedelta(seconds=timeout),
    }


async def take(
    holding: Owned,
    state: ConversationState,
    endpoint: Endpoint,
    pauses: Pauses,
    now: datetime,
    *,
    read: int | None = None,
) -> Head:
    """Look at the first open delivery and take it if it is due. `read` was looked for at 8x8 just now."""
    row = await holding.fetchrow(_HEAD, state.id)
    return await _take(holding, state, endpoint, pauses, now, row, read)


async def sent_and_next(
    holding: Owned,
    state: ConversationState,
    endpoint: Endpoint,
    pauses: Pauses,
    now: datetime,
    sending: Sending,
    outcome: Sent,
) -> Head:
    """Write that a delivery was sent, and take the next one if it is due."""
    row = await holding.fetchrow(
        _SENT_AND_NEXT, state.id, sending.delivery_id, sending.number, now, outcome.status
    )
    assert row is not None
    if row["id"] is None:
        holding.due = row["due"]
        return None
    return await _take(holding, state, endpoint, pauses, now, row)


async def _take(
    holding: Owned,
    state: ConversationState,
    endpoint: Endpoint,
    pauses: Pauses,
    now: datetime,
    row: asyncpg.Record | None,
    read: int | None = None,
) -> Head:
    while row is not None:
        delivery, status, due = row["id"], row["status"], row["next_attempt_at"]
        if status == "sending":
            return await _found_sending(holding, row, now)
        if due is not None and due > now:
            return Later(due)
        content = unseal(row["content"])
        if status == "in_doubt":
            return Reading(delivery, row["attempts"], content, row["readings"], row["expires_at"])
        why = _not_any_more(state, row["kind"], content)
        if why is not None:
            await end(holding, delivery, "withheld", why, now)
            row = await holding.fetchrow(_HEAD, state.id)
            continue
        doubted = row["in_doubt_since"] is not None and delivery != read
        if pauses.paused(endpoint.name) and not await _may_probe(holding, endpoint, pauses, look=doubted):
            look = pauses.next_look(now)
            await holding.fetch(_WAIT, delivery, look)
            return Later(look)
        if doubted:  # it wasn't there when it was looked for, but that was before it had to wait
            await holding.fetch(_DOUBT, delivery, now, READINGS, now)
            return Reading(delivery, row["attempts"], content, READINGS, row["expires_at"])
        await holding.fetch(_SENDING, delivery, now + DOUBT_AFTER)
        number = row["attempts"] + 1
        attempt = _attempt(delivery, number, now, endpoint.deliveries.timeout)
        await insert_rows(holding, "delivery_attempt", [attempt])
        return Sending(delivery, number, row["kind"], content, row["expires_at"], now)
    return None


def _not_any_more(state: ConversationState, kind: str, content: dict[str, Any]) -> str | None:
    """Why this must not be sent, as things stand now."""
    if kind == "message" and state.control == "human" and not content.get("during_handover"):
        return "a human has the conversation"
    return obsolete(state, kind, content)


async def _may_probe(holding: Owned, endpoint: Endpoint, pauses: Pauses, *, look: bool) -> bool:
    """Whether it may be tried on a paused endpoint now; with `look` the one probe a minute isn't used up."""
    connection = await holding.sqlalchemy()
    if look:
        return await pauses.probe_due(connection, endpoint.name)
    return await pauses.may_probe(connection, endpoint.name)


async def _found_sending(holding: Owned, row: asyncpg.Record, now: datetime) -> Later:
    """A request that nobody waits for any more: its owner died.

    Whether a message arrived must be read; everything else may be said to 8x8 again.
    """
    look = max(now, row["next_attempt_at"] or now)
    await finish_attempt(holding, row["id"], row["attempts"], "abandoned", now)
    if row["kind"] == "message":
        await holding.fetch(_DOUBT, row["id"], now, 0, look)
    else:
        await holding.fetch(_WAIT, row["id"], look)
    return Later(look)


async def finish_attempt(
    holding: Owned,
    delivery_id: int,
    number: int,
    outcome: str,
    now: datetime,
    *,
    status_code: int | None = None,
    error: str | None = None,
) -> None:
    """Close an attempt's row."""
    await holding.fetch(_FINISH_ATTEMPT, delivery_id, number, now, outcome, status_code, error)


async def end(holding: Owned, delivery_id: int, status: str, reason: str, now: datetime) -> None:
    """Close a delivery as withheld or dead."""
    await holding.fetch(_END, delivery_id, status, reason, now)


async def settle_failed(
    holding: Owned,
    sending: Sending,
    outcome: Retry | Refused | Unauthorized | InDoubt,
    now: datetime,
    *,
    quote: bool,
) -> str | None:
    """Write how an attempt failed; the reason when the delivery is dead now. `quote`: with 8x8's words."""
    delivery = sending.delivery_id
    dead: str | None = None
    match outcome:
        case InDoubt() if sending.kind == "message":
            name = "in_doubt"
            await holding.fetch(_DOUBT, delivery, now, 0, now + DOUBT_AFTER)
        case Refused():
            name, dead = "refused", f"refused with {outcome.status}"
            if quote:
                dead = f"{dead}{QUOTE}{outcome.reason}"[:500]
        case Unauthorized():
            name = "unauthorized"
            await holding.fetch(_WAIT, delivery, Pauses.next_look(now))
        case Retry() | InDoubt():
            name = "retry"
            after = outcome.after if isinstance(outcome, Retry) else None
            if now >= sending.expires_at:
                dead = "too old, and it failed again"
            else:
                await holding.fetch(_WAIT, delivery, now + backoff(sending.number, retry_after=after))
    if dead is not None:
        await end(holding, delivery, "dead", dead, now)
    await finish_attempt(
        holding, delivery, sending.number, name, now, status_code=outcome.status, error=outcome.reason
    )
    return dead


async def settle_reading(holding: Owned, reading: Reading, found: bool | None, now: datetime) -> str | None:
    """Write what a read-back told (None: it could not be read); the reason when the delivery is dead now."""
    delivery = reading.delivery_id
    if found:
        await holding.fetch(_FOUND, delivery, now)
        return None
    expired = now >= reading.expires_at
    if found is None:
        if expired:
            await end(holding, delivery, "dead", "in doubt", now)
            return "in doubt"
        pause = max(backoff(reading.readings + 1), READ_AGAIN)
        await holding.fetch(_DOUBT, delivery, now, reading.readings, now + pause)
        return None
    if reading.readings + 1 < READINGS:
        await holding.fetch(_DOUBT, delivery, now, reading.readings + 1, now + READ_AGAIN)
        return None
    if expired and reading.readings < READINGS:  # the last look before a due attempt takes nothing away
        await end(holding, delivery, "dead", "too old, and it did not arrive", now)
        return "too old, and it did not arrive"
    await holding.fetch(_WAIT, delivery, now)
    return None
