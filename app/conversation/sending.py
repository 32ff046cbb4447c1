"""The transactions of a delivery: taken, tried, settled.

    waiting ──take──▶ sending ──▶ sent
       ▲                 │──▶ dead        refused, or past its age
       ├── retry ────────┤
       │                 ▼
       └─ not there ── in_doubt ── found, or its echo came ──▶ sent

One delivery of a conversation is sending or in doubt at a time, and only the first open one is ever touched:
that is the order. `next_attempt_at` says when to look at it again; while sending, when somebody else may.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversation.backoff import backoff
from app.conversation.draft import DOUBT_AFTER
from app.conversation.pauses import Pauses
from app.conversation.state import ConversationState
from app.conversation.store import insert_rows
from app.endpoints import Endpoint
from app.gateway.outcome import InDoubt, Outcome, Refused, Retry, Sent, Unauthorized

#: Between two looks at what really arrived.
READ_AGAIN = timedelta(seconds=2)
#: Looks before a delivery that isn't there is sent again.
READINGS = 2

_HEAD = text(
    """
    SELECT id, kind, content, status, attempts, readings, expires_at, next_attempt_at
    FROM delivery
    WHERE conversation_id = :id AND status IN ('waiting', 'sending', 'in_doubt')
    ORDER BY place LIMIT 1
    """
).columns(
    content=JSONB,
    expires_at=TIMESTAMP(timezone=True),
    next_attempt_at=TIMESTAMP(timezone=True),
)

_SENDING = text(
    """
    UPDATE delivery SET status = 'sending', attempts = attempts + 1, next_attempt_at = :doubt_at
    WHERE id = :delivery
    """
)

_FINISH_ATTEMPT = text(
    """
    UPDATE delivery_attempt SET finished_at = :now, outcome = :outcome,
        status_code = :status_code, error = :error
    WHERE delivery_id = :delivery AND number = :number AND finished_at IS NULL
    """
)

_SENT = text(
    """
    UPDATE delivery SET status = 'sent', sent_at = COALESCE(sent_at, :now), ended_at = :now,
        next_attempt_at = NULL
    WHERE id = :delivery
    """
)

_FOUND = text(
    """
    UPDATE delivery SET status = 'sent', sent_at = COALESCE(sent_at, :now), ended_at = :now,
        next_attempt_at = NULL,
        confirmed_at = COALESCE(confirmed_at, :now), confirmed_by = COALESCE(confirmed_by, 'read_back')
    WHERE id = :delivery
    """
)

_WAIT = text("UPDATE delivery SET status = 'waiting', next_attempt_at = :next WHERE id = :delivery")

_DOUBT = text(
    """
    UPDATE delivery SET status = 'in_doubt', in_doubt_since = COALESCE(in_doubt_since, :now),
        readings = :readings, next_attempt_at = :next
    WHERE id = :delivery
    """
)

_END = text(
    """
    UPDATE delivery SET status = :status, reason = :reason, ended_at = :now, next_attempt_at = NULL
    WHERE id = :delivery
    """
)


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery taken: its request may go out now, once."""

    delivery_id: int
    number: int
    kind: str
    content: dict[str, Any]
    expires_at: datetime
    taken_at: datetime


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


def first_attempt(row: dict[str, Any], now: datetime, timeout: float) -> tuple[Sending, dict[str, Any]]:
    """Mark a new delivery's row as being sent; what to send, and its attempt's row."""
    row.update({"status": "sending", "attempts": 1, "next_attempt_at": now + DOUBT_AFTER})
    sending = Sending(row["id"], 1, row["kind"], row["content"], row["expires_at"], now)
    return sending, _attempt(row["id"], 1, now, timeout)


def _attempt(delivery_id: int, number: int, now: datetime, timeout: float) -> dict[str, Any]:
    return {
        "delivery_id": delivery_id,
        "number": number,
        "started_at": now,
        "deadline_at": now + timedelta(seconds=timeout),
    }


async def take(
    connection: AsyncConnection, state: ConversationState, endpoint: Endpoint, pauses: Pauses, now: datetime
) -> Head:
    """Look at the first open delivery and take it if it is due. Call between `own` and `settle`."""
    while True:
        row = (await connection.execute(_HEAD, {"id": state.id})).one_or_none()
        if row is None:
            return None
        if row.status == "sending":
            return await _found_sending(connection, row, now)
        if row.next_attempt_at is not None and row.next_attempt_at > now:
            return Later(row.next_attempt_at)
        if row.status == "in_doubt":
            return Reading(row.id, row.attempts, row.content, row.readings, row.expires_at)
        if row.kind == "message" and state.control == "human" and not row.content.get("during_handover"):
            await end(connection, row.id, "withheld", "a human has the conversation", now)
            continue
        if pauses.paused(endpoint.name) and not await pauses.may_probe(connection, endpoint.name):
            look = pauses.next_look(now)
            await connection.execute(_WAIT, {"delivery": row.id, "next": look})
            return Later(look)
        await connection.execute(_SENDING, {"delivery": row.id, "doubt_at": now + DOUBT_AFTER})
        number = row.attempts + 1
        timeout = endpoint.deliveries.timeout
        await insert_rows(connection, "delivery_attempt", [_attempt(row.id, number, now, timeout)])
        return Sending(row.id, number, row.kind, row.content, row.expires_at, now)


async def _found_sending(connection: AsyncConnection, row: Any, now: datetime) -> Later:
    """A request that nobody waits for any more: its owner died. Whether it arrived must be read."""
    look = max(now, row.next_attempt_at or now)
    await finish_attempt(connection, row.id, row.attempts, "abandoned", now)
    await connection.execute(_DOUBT, {"delivery": row.id, "now": now, "readings": 0, "next": look})
    return Later(look)


async def finish_attempt(
    connection: AsyncConnection,
    delivery_id: int,
    number: int,
    outcome: str,
    now: datetime,
    *,
    status_code: int | None = None,
    error: str | None = None,
) -> None:
    """Close an attempt's row."""
    await connection.execute(
        _FINISH_ATTEMPT,
        {
            "delivery": delivery_id,
            "number": number,
            "outcome": outcome,
            "now": now,
            "status_code": status_code,
            "error": error,
        },
    )


async def end(connection: AsyncConnection, delivery_id: int, status: str, reason: str, now: datetime) -> None:
    """Close a delivery as withheld or dead."""
    await connection.execute(_END, {"delivery": delivery_id, "status": status, "reason": reason, "now": now})


async def settle_attempt(
    connection: AsyncConnection, sending: Sending, outcome: Outcome, now: datetime
) -> str | None:
    """Write how an attempt ended; the reason when the delivery is dead now."""
    delivery = {"delivery": sending.delivery_id, "now": now}
    dead: str | None = None
    match outcome:
        case Sent():
            name = "sent"
            await connection.execute(_SENT, delivery)
        case InDoubt() if sending.kind == "message":
            name = "in_doubt"
            doubt = {**delivery, "readings": 0, "next": now + DOUBT_AFTER}
            await connection.execute(_DOUBT, doubt)
        case Refused():
            name, dead = "refused", f"refused with {outcome.status}: {outcome.reason}"[:500]
        case Unauthorized():
            name = "unauthorized"
            await connection.execute(_WAIT, {"delivery": sending.delivery_id, "next": Pauses.next_look(now)})
        case Retry() | InDoubt():
            name = "retry"
            after = outcome.after if isinstance(outcome, Retry) else None
            if now >= sending.expires_at:
                dead = "too old, and it failed again"
            else:
                pause = backoff(sending.number, retry_after=after)
                await connection.execute(_WAIT, {"delivery": sending.delivery_id, "next": now + pause})
    if dead is not None:
        await end(connection, sending.delivery_id, "dead", dead, now)
    await finish_attempt(
        connection,
        sending.delivery_id,
        sending.number,
        name,
        now,
        status_code=getattr(outcome, "status", None),
        error=getattr(outcome, "reason", None),
    )
    return dead


async def settle_reading(
    connection: AsyncConnection, reading: Reading, found: bool | None, now: datetime
) -> str | None:
    """Write what a read-back told (None: it could not be read); the reason when the delivery is dead now."""
    delivery = {"delivery": reading.delivery_id, "now": now}
    if found:
        await connection.execute(_FOUND, delivery)
        return None
    expired = now >= reading.expires_at
    if found is None:
        if expired:
            await end(connection, reading.delivery_id, "dead", "in doubt", now)
            return "in doubt"
        pause = max(backoff(reading.readings + 1), READ_AGAIN)
        await connection.execute(_DOUBT, {**delivery, "readings": reading.readings, "next": now + pause})
        return None
    if reading.readings + 1 < READINGS:
        again = {**delivery, "readings": reading.readings + 1, "next": now + READ_AGAIN}
        await connection.execute(_DOUBT, again)
        return None
    if expired:
        await end(connection, reading.delivery_id, "dead", "too old, and it did not arrive", now)
        return "too old, and it did not arrive"
    await connection.execute(_WAIT, {"delivery": reading.delivery_id, "next": now})
    return None
