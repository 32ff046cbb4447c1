"""The usual transaction as one statement, which commits by itself: one round trip instead of five.

`owned` locks the conversation in a statement of its own, so that what follows sees all that was committed
before. Here the lock is a part of the statement. So it is carried out only where the conversation is still as
the statement sees it, and nobody (a receiver with an event, another owner) has changed it since; else nothing
of it is done, and the caller goes the long way, which also tells who has the conversation now. Every part
depends on `held` therefore.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.changes import Changes, Row
from app.conversation.owned import FIRST_OPEN, due, setting, settling
from app.conversation.sending import SENT, Sending
from app.conversation.state import ConversationState
from app.conversation.store import ends_first, gathered
from app.database.direct import direct
from app.database.recordset import as_json, record
from app.gateway.outcome import Sent

_HELD = """
WITH held AS MATERIALIZED (
    SELECT c.id FROM conversation c
    WHERE c.id = $1 AND c.epoch = {epoch}
        AND c.xmin = (SELECT seen.xmin FROM conversation seen WHERE seen.id = $1){free}
    FOR NO KEY UPDATE OF c
)"""
_IS_HELD, _OF_HELD = "EXISTS (SELECT FROM held)", "c.id = held.id"

#: None of the conversation's deliveries is open, or none is in doubt.
_NONE_OPEN = """
        AND NOT EXISTS (
            SELECT FROM delivery d
            WHERE d.conversation_id = $1 AND d.status IN ('waiting', 'sending', 'in_doubt'){but}
        )"""
_NONE_IN_DOUBT = """
        AND NOT EXISTS (SELECT FROM delivery d WHERE d.conversation_id = $1 AND d.status = 'in_doubt')"""

_AT_ONCE = """{held}{parts}, settled AS (
    {settling}
)
SELECT due{repeatable} FROM settled
"""
#: Parameters before those of rows. $2 is the epoch. Rows that are written here the statement sees as they
#: were: $3 events, $4 dialogs and $5 timers; what is left to do of these is due now ($6) or then ($7). $8: a
#: turn.
_FIXED = 8

_REPEATABLE = ", set_config('synchronous_commit', 'off', true)"

_USUAL = frozenset(
    {
        "conversation",
        "confirmed",
        "deliveries",
        "dialog_updates",
        "dialogs",
        "handled",
        "journal",
        "marks",
        "messages",
        "seal_contact",
        "session_updates",
        "sessions",
        "timers",
        "timers_ended",
    }
)


async def write_at_once(
    engine: AsyncEngine, state: ConversationState, changes: Changes, attempts: list[Row], *, turn: bool
) -> bool:
    """Write changes as `write` would, if they are of the usual kind; false where nothing was done.

    `attempts` are of a delivery among them that is sent at once, for which no other may be open.
    """
    if not _usual(changes):
        return False
    parts, values = gathered(state, changes, attempts, first=_FIXED + 1 + bool(changes.conversation))
    statement = _writing(
        parts,
        tuple(changes.conversation),
        none_open=bool(changes.deliveries),
        none_in_doubt=bool(changes.confirmed),
        repeatable=changes.only_echoes,
    )
    now, later = _left_to_do(changes)
    fixed = (
        [row["event"] for row in changes.handled],
        [row["dialog"] for row in changes.dialog_updates],
        [row["timer"] for row in changes.timers_ended],
        now,
        later,
        turn,
    )
    if changes.conversation:
        values = [as_json(changes.conversation), *values]
    return await _carried_out(engine, state, statement, state.epoch, *fixed, *values)


async def sent_at_once(
    engine: AsyncEngine, state: ConversationState, sending: Sending, outcome: Sent, now: datetime
) -> bool:
    """Write that the one open delivery was sent; false where nothing was done."""
    statement = _sent(repeatable=sending.kind == "message")  # it would be found at 8x8
    sent = (sending.delivery_id, sending.number, now, outcome.status)
    return await _carried_out(engine, state, statement, *sent, state.epoch)


async def _carried_out(
    engine: AsyncEngine, state: ConversationState, statement: str, *values: object
) -> bool:
    async with direct(engine) as database:
        due = await database.driver.fetchval(statement, state.id, *values)
    if due is None:
        return False
    state.due = due
    return True


def _usual(changes: Changes) -> bool:
    """Whether all of it can be one statement."""
    return (
        all(name in _USUAL or not getattr(changes, name) for name in changes.__slots__)
        and len(changes.confirmed) <= 1
        and not ends_first(changes)
    )


def _left_to_do(changes: Changes) -> tuple[bool, datetime | None]:
    """Whether something of what is written is due now, and when the first of the rest is."""
    now = any(
        row["status"] == "running" and row["ended_at"] is None
        for row in (*changes.dialogs, *changes.dialog_updates)
    )
    later: list[datetime] = [row["due_at"] for row in changes.timers if row["ended_at"] is None]
    first = next((row for row in changes.deliveries if row["ended_at"] is None), None)
    if first is not None and first["next_attempt_at"] is None:
        now = True
    elif first is not None:
        later.append(first["next_attempt_at"])
    return now, min(later, default=None)


@cache
def _writing(
    parts: tuple[str, ...],
    columns: tuple[str, ...],
    *,
    none_open: bool,
    none_in_doubt: bool,
    repeatable: bool,
) -> str:
    """The statement that carries these parts out, and sets these columns of the conversation."""
    free = _NONE_OPEN.format(but="") if none_open else _NONE_IN_DOUBT if none_in_doubt else ""
    source = f", {record('conversation', columns, _FIXED + 1)}" if columns else ""
    when = due(
        f", CASE WHEN $6 THEN now() END, $7::timestamptz{'' if none_open else FIRST_OPEN}",
        events=" AND e.id <> ALL($3::bigint[])",
        dialogs=" AND d.id <> ALL($4::bigint[])",
        timers=" AND t.id <> ALL($5::bigint[])",
    )
    return _AT_ONCE.format(
        held=_HELD.format(epoch="$2", free=free),
        parts="".join(f", part_{number} AS ({part} {_IS_HELD})" for number, part in enumerate(parts)),
        settling=settling(when, _OF_HELD, f"FROM held{source}", columns=setting(columns, turn="$8")),
        repeatable=_REPEATABLE if repeatable else "",
    )


@cache
def _sent(*, repeatable: bool) -> str:
    return _AT_ONCE.format(
        held=_HELD.format(epoch="$6", free=_NONE_OPEN.format(but=" AND d.id <> $2")),
        parts=f", {SENT.format(condition=f' AND {_IS_HELD}')}",
        settling=settling(due(), _OF_HELD, "FROM held"),
        repeatable=_REPEATABLE if repeatable else "",
    )
