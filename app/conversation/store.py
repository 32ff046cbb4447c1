"""What a transaction does to a conversation, as statements: as few as possible, each being a round trip.

Everything that does not depend on something else of the same transaction goes to the database as one
statement; `owned` begins and ends the transaction.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.contacts.store import write_contact
from app.conversation.changes import Changes, Row
from app.conversation.handover.store import withhold_of_handovers, write_handovers
from app.conversation.owned import Owned
from app.conversation.privacy.dropped import drop_stored
from app.conversation.privacy.erasure import erase
from app.conversation.state import ConversationState, WaitingEvent
from app.database.direct import direct
from app.database.recordset import as_json, inserting, rows
from app.files.rows import TAKEN, TAKEN_COLUMNS
from app.sealing import unseal

_WAITING = """
SELECT id, type, payload, at, received_at, event_id FROM event
WHERE conversation_id = $1 AND processed_at IS NULL
ORDER BY at, id LIMIT $2
"""

_HANDLED = """
UPDATE event SET processed_at = now(), outcome = new.outcome, late = new.late,
    session_id = new.session_id, dialog_id = new.dialog_id
FROM {rows} WHERE event.id = new.event
"""
_HANDLED_COLUMNS = {
    "event": "bigint",
    "outcome": "text",
    "late": "boolean",
    "session_id": "bigint",
    "dialog_id": "bigint",
}

_TIMER_ENDED = """
UPDATE timer SET ended_at = new.timer_ended, outcome = new.timer_outcome
FROM {rows} WHERE timer.id = new.timer
"""
_TIMER_ENDED_COLUMNS = {"timer": "bigint", "timer_ended": "timestamptz", "timer_outcome": "text"}

_SESSION = """
UPDATE session SET data = new.data, last_input_at = new.last_input_at, ended_at = new.ended_at,
    end_reason = new.end_reason, divergences = new.divergences, active_started = new.active_started,
    storage = new.storage, private = new.private, erase = new.erase,
    language = new.language, locale = new.locale
FROM {rows} WHERE session.id = new.session
"""
_SESSION_COLUMNS = {
    "session": "bigint",
    "data": "jsonb",
    "last_input_at": "timestamptz",
    "ended_at": "timestamptz",
    "end_reason": "text",
    "divergences": "bigint",
    "active_started": "boolean",
    "storage": "jsonb",
    "private": "boolean",
    "erase": "boolean",
    "language": "text",
    "locale": "text",
}

_DIALOG = """
UPDATE dialog SET status = new.status, error = new.error, ended_at = new.ended_at, private = new.private
FROM {rows} WHERE dialog.id = new.dialog
"""
_DIALOG_COLUMNS = {
    "dialog": "bigint",
    "status": "text",
    "error": "text",
    "ended_at": "timestamptz",
    "private": "boolean",
}

_RELEASE_HELD = """
UPDATE event SET processed_at = NULL, outcome = NULL WHERE conversation_id = $1 AND outcome = 'held'
"""

#: A message that came back is assigned to the first delivery that waits for it: one with the same text if
#: there is one, else the first that was sent. One echo confirms one delivery, and ends the doubt about it.
#: (One that is being sent is settled by its own answer.) It must not be taken for a later one that says the
#: same: a delivery that was found by reading still waits for its echo, and none echoes before it is sent.
_CONFIRM = """
UPDATE delivery SET confirmed_at = COALESCE(confirmed_at, found.echoed_at), confirmed_by = 'echo',
    sent_at = COALESCE(sent_at, found.echoed_at),
    status = CASE WHEN status = 'in_doubt' THEN 'sent' ELSE status END,
    ended_at = CASE WHEN status = 'in_doubt' THEN now() ELSE ended_at END,
    next_attempt_at = CASE WHEN status = 'in_doubt' THEN NULL ELSE next_attempt_at END
FROM (
    SELECT first.id, new.echoed_at FROM {rows} CROSS JOIN LATERAL (
        SELECT id FROM (
            SELECT d.id, d.place, COALESCE(d.content->>'text', '') = new.echo AS same FROM delivery d
            WHERE d.conversation_id = new.echoed AND d.kind = 'message' AND d.confirmed_at IS NULL
              AND (d.status = 'sent' OR (
                  d.status IN ('sending', 'in_doubt') AND COALESCE(d.content->>'text', '') = new.echo
                  AND (SELECT min(a.started_at) FROM delivery_attempt a WHERE a.delivery_id = d.id)
                      <= new.echoed_at))
            UNION ALL
            SELECT r.id, r.place, true FROM (
                SELECT * FROM delivery WHERE conversation_id = new.echoed ORDER BY place DESC LIMIT 30) r
            WHERE r.kind = 'message' AND r.status = 'sent' AND r.confirmed_by = 'read_back'
              AND COALESCE(r.content->>'text', '') = new.echo
        ) candidate ORDER BY NOT same, place LIMIT 1
    ) first
) found WHERE delivery.id = found.id
"""
_CONFIRM_COLUMNS = {"echoed": "bigint", "echo": "text", "echoed_at": "timestamptz"}

_WITHHOLD = """
UPDATE delivery SET status = 'withheld', ended_at = now(), next_attempt_at = NULL,
    reason = 'a human has the conversation'
WHERE conversation_id = $1 AND kind = 'message' AND status = 'waiting'
    AND NOT COALESCE(CAST(content->>'during_handover' AS boolean), false)
"""


async def waiting_events(engine: AsyncEngine, conversation_id: int, *, most: int = 50) -> list[WaitingEvent]:
    """Events not handled yet, in the order of handling."""
    async with direct(engine) as database:
        found = await database.driver.fetch(_WAITING, conversation_id, most)
    return [
        WaitingEvent(id, type, unseal(payload), at, received_at, event_id)
        for id, type, payload, at, received_at, event_id in found
    ]


class Together:
    """Statements that go to the database as one. None of them sees what another does.

    `guarded`: they end in a condition that is yet to be written.
    """

    def __init__(self, *, first: int = 1, guarded: bool = False) -> None:
        """`first` is the number of the first one's parameter."""
        self._first = first
        self._guarded = guarded
        self._parts: list[str] = []
        self._values: list[str] = []

    def insert(self, table: str, new: list[Row]) -> None:
        """Insert rows, which all have the same columns."""
        if new:
            columns = tuple(new[0])
            part = inserting(table, columns, self._parameter)
            self._add(f"{part} WHERE" if self._guarded else part, new)

    def update(self, statement: str, columns: dict[str, str], new: list[Row]) -> None:
        """Update rows: a statement over `{rows}` with these columns, of which the first names the row.

        Each row once: of two for the same row PostgreSQL would take one, and its plan decides which.
        """
        if new:
            key = next(iter(columns))
            if len({row[key] for row in new}) != len(new):
                raise AssertionError(f"a {key} is updated twice in one statement")
            part = statement.format(rows=rows(columns, self._parameter))
            self._add(f"{part} AND" if self._guarded else part, new)

    def take(self) -> tuple[tuple[str, ...], list[str]]:
        """The statements and their parameters; begin anew."""
        taken = tuple(self._parts), self._values
        self._parts, self._values = [], []
        return taken

    async def write(self, holding: Owned) -> None:
        """Do it, and begin anew."""
        parts, values = self.take()
        if parts:
            await holding.fetch(_as_one(parts), *values)

    @property
    def _parameter(self) -> int:
        return self._first + len(self._parts)

    def _add(self, part: str, new: list[Row]) -> None:
        self._parts.append(part)
        self._values.append(as_json(new))


@cache
def _as_one(parts: tuple[str, ...]) -> str:
    """The statements as one: parts of a WITH, which are carried out whether they are read or not."""
    if len(parts) == 1:
        return parts[0]
    named = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts))
    return f"WITH {named} SELECT"


def ends_first(changes: Changes) -> bool:
    """Whether what ends must be written before what begins: at most one session is open, and one dialog."""
    return bool(changes.sessions or changes.dialogs) and any(
        row["ended_at"] for row in (*changes.session_updates, *changes.dialog_updates)
    )


def gathered(
    state: ConversationState, changes: Changes, attempts: list[Row], *, first: int
) -> tuple[tuple[str, ...], list[str]]:
    """What is usual, as statements that end in a condition yet to be written; and their parameters.

    `first` is the first parameter's number. At most one echo is among it.
    """
    together = Together(first=first, guarded=True)
    _update(together, changes)
    _insert(together, changes, attempts)
    for echo in changes.confirmed:
        _confirm(together, state, echo)
    return together.take()


async def write(holding: Owned, state: ConversationState, changes: Changes, attempts: list[Row]) -> None:
    """Write gathered changes, and the attempts of deliveries among them. Rows find those they name."""
    if changes.touches_contact:
        await write_contact(await holding.sqlalchemy(), state, changes)
    together = Together()
    _update(together, changes)
    if ends_first(changes):
        await together.write(holding)
    _insert(together, changes, attempts)
    together.update(TAKEN, TAKEN_COLUMNS, changes.files)
    together.insert("incident", changes.incidents)
    if changes.withhold:
        await holding.fetch(_WITHHOLD, state.id)
    if changes.handovers_given_up:
        await withhold_of_handovers(await holding.sqlalchemy(), state.id, changes)
    for echo in changes.confirmed:  # each after the one before, the first with everything else
        _confirm(together, state, echo)
        await together.write(holding)
    await together.write(holding)
    if changes.dropped:
        await drop_stored(holding, changes.dropped)
    if changes.handovers or changes.handover_updates or changes.transitions:
        await write_handovers(await holding.sqlalchemy(), changes)
    if changes.release_held:
        await holding.fetch(_RELEASE_HELD, state.id)
    if changes.erased or changes.erase_events:
        await erase(await holding.sqlalchemy(), state.id, changes)
    holding.columns.update(changes.conversation)


def _update(together: Together, changes: Changes) -> None:
    together.update(_SESSION, _SESSION_COLUMNS, changes.session_updates)
    together.update(_DIALOG, _DIALOG_COLUMNS, changes.dialog_updates)


def _insert(together: Together, changes: Changes, attempts: list[Row]) -> None:
    together.insert("session", changes.sessions)
    together.insert("dialog", changes.dialogs)
    together.insert("journal", changes.journal)
    together.update(_HANDLED, _HANDLED_COLUMNS, changes.handled)
    together.insert("delivery", changes.deliveries)
    together.insert("delivery_attempt", attempts)
    together.insert("message", changes.messages)
    together.insert("timer", changes.timers)
    together.update(_TIMER_ENDED, _TIMER_ENDED_COLUMNS, changes.timers_ended)
    together.insert("mark", changes.marks)


def _confirm(together: Together, state: ConversationState, echo: Row) -> None:
    row = {"echoed": state.id, "echo": echo["text"] or "", "echoed_at": echo["at"]}
    together.update(_CONFIRM, _CONFIRM_COLUMNS, [row])


async def insert_rows(holding: Owned, table: str, new: list[dict[str, Any]]) -> None:
    """Insert rows of one table, if there are any."""
    if new:
        await holding.fetch(inserting(table, tuple(new[0]), 1), as_json(new))
