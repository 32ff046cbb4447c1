"""Reading and writing one owned conversation.

Every writing transaction begins with `own`, which locks the conversation's row if the epoch still holds, and
ends with `settle`, which sets `due_at` from what is left to do.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.expression import bindparam

from app.conversation.changes import Changes
from app.conversation.handover.store import write_handovers
from app.conversation.state import ConversationState, WaitingEvent
from app.database.tables import metadata
from app.errors import OwnershipLost

_OWN = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM delivery d
        WHERE d.conversation_id = c.id AND d.status IN ('waiting', 'sending', 'in_doubt')
    ) AS busy
    FROM conversation c WHERE c.id = :id AND c.epoch = :epoch
    FOR NO KEY UPDATE OF c
    """
)

_SETTLE = text(
    """
    UPDATE conversation SET due_at = LEAST(
        (SELECT now() WHERE EXISTS (
            SELECT 1 FROM event e WHERE e.conversation_id = :id AND e.processed_at IS NULL)),
        (SELECT now() FROM dialog d
         WHERE d.conversation_id = :id AND d.ended_at IS NULL AND d.status = 'running'),
        (SELECT min(t.due_at) FROM timer t WHERE t.conversation_id = :id AND t.ended_at IS NULL),
        (SELECT COALESCE(d.next_attempt_at, now()) FROM delivery d
         WHERE d.conversation_id = :id AND d.status IN ('waiting', 'sending', 'in_doubt')
         ORDER BY d.place LIMIT 1)
    ),
    deaths = CASE WHEN :turn THEN 0 ELSE deaths END,
    trial_epoch = CASE WHEN :turn THEN NULL ELSE trial_epoch END
    WHERE id = :id
    """
)

_WAITING = text(
    """
    SELECT id, type, payload, at, received_at FROM event
    WHERE conversation_id = :id AND processed_at IS NULL
    ORDER BY at, id LIMIT :most
    """
).columns(payload=JSONB, at=TIMESTAMP(timezone=True), received_at=TIMESTAMP(timezone=True))

_HANDLED = text(
    """
    UPDATE event SET processed_at = now(), outcome = :outcome, late = :late,
        session_id = :session_id, dialog_id = :dialog_id
    WHERE id = :event
    """
)

_TIMER_ENDED = text("UPDATE timer SET ended_at = :timer_ended, outcome = :timer_outcome WHERE id = :timer")

_SESSION = text(
    """
    UPDATE session SET data = :data, last_input_at = :last_input_at, ended_at = :ended_at,
        end_reason = :end_reason, divergences = :divergences, active_started = :active_started
    WHERE id = :session
    """
).bindparams(bindparam("data", type_=JSONB))

_DIALOG = text("UPDATE dialog SET status = :status, error = :error, ended_at = :ended_at WHERE id = :dialog")

#: A message that came back is assigned to the first delivery that waits for it: one with the same text if
#: there is one, else the first that was sent. One echo confirms one delivery.
_CONFIRM = text(
    """
    UPDATE delivery SET confirmed_at = :confirmed_at, confirmed_by = 'echo',
        sent_at = COALESCE(sent_at, :confirmed_at)
    WHERE id = (
        SELECT d.id FROM delivery d
        WHERE d.conversation_id = :id AND d.kind = 'message' AND d.confirmed_at IS NULL
          AND (d.status = 'sent' OR (d.status IN ('sending', 'in_doubt')
               AND COALESCE(d.content->>'text', '') = :body))
        ORDER BY COALESCE(d.content->>'text', '') <> :body, d.place LIMIT 1
    )
    RETURNING id, status
    """
)

#: An echo of a delivery in doubt ends the doubt. (One that is being sent is settled by its own answer.)
_ARRIVED = text(
    """
    UPDATE delivery SET status = 'sent', ended_at = now(), next_attempt_at = NULL
    WHERE id = :delivery AND status = 'in_doubt'
    """
)

_WITHHOLD = text(
    """
    UPDATE delivery SET status = 'withheld', ended_at = now(), next_attempt_at = NULL,
        reason = 'a human has the conversation'
    WHERE conversation_id = :id AND kind = 'message' AND status = 'waiting'
        AND NOT COALESCE(CAST(content->>'during_handover' AS boolean), false)
    """
)

_CONTACT = (
    text(
        """
    INSERT INTO contact (endpoint, identity, profile) VALUES (:endpoint, :identity, :profile)
    ON CONFLICT (endpoint, identity) DO UPDATE
        SET profile = contact.profile || EXCLUDED.profile, last_seen_at = now()
    RETURNING id, profile
    """
    )
    .bindparams(bindparam("profile", type_=JSONB))
    .columns(profile=JSONB)
)


def table(name: str) -> Table:
    """A table by its name."""
    return metadata.tables[name]


_INSERTS = {
    name: insert(table(name))
    for name in (
        "session",
        "dialog",
        "journal",
        "delivery",
        "delivery_attempt",
        "message",
        "timer",
        "incident",
        "mark",
    )
}


async def own(connection: AsyncConnection, conversation_id: int, epoch: int) -> bool:
    """Lock the conversation for this transaction; true when deliveries of it are open.

    Raises OwnershipLost when another worker has claimed it.
    """
    row = (await connection.execute(_OWN, {"id": conversation_id, "epoch": epoch})).one_or_none()
    if row is None:
        raise OwnershipLost
    return bool(row.busy)


async def settle(connection: AsyncConnection, conversation_id: int, *, turn: bool = False) -> None:
    """Set `due_at` from what is left to do; a committed turn also clears the suspicion of being poison."""
    await connection.execute(_SETTLE, {"id": conversation_id, "turn": turn})


async def waiting_events(
    connection: AsyncConnection, conversation_id: int, *, most: int = 50
) -> list[WaitingEvent]:
    """Events not handled yet, in the order of handling."""
    rows = await connection.execute(_WAITING, {"id": conversation_id, "most": most})
    return [WaitingEvent(row.id, row.type, row.payload, row.at, row.received_at) for row in rows]


async def insert_rows(connection: AsyncConnection, name: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows of one table, if there are any."""
    if rows:
        await connection.execute(_INSERTS[name], rows if len(rows) > 1 else rows[0])


async def write(
    connection: AsyncConnection, state: ConversationState, changes: Changes, now: datetime
) -> None:
    """Write gathered changes; call between `own` and `settle`. Rows find those they name."""
    if changes.contact is not None:
        row = (await connection.execute(_CONTACT, changes.contact)).one()
        state.contact_id, state.contact = row.id, row.profile
        changes.conversation["contact_id"] = row.id
    for update in changes.session_updates:  # what ends goes first: at most one of each is open
        await connection.execute(_SESSION, update)
    for update in changes.dialog_updates:
        await connection.execute(_DIALOG, update)
    await insert_rows(connection, "session", changes.sessions)
    await insert_rows(connection, "dialog", changes.dialogs)
    await insert_rows(connection, "journal", changes.journal)
    if changes.handled:
        await connection.execute(_HANDLED, changes.handled)
    if changes.withhold:
        await connection.execute(_WITHHOLD, {"id": state.id})
    await insert_rows(connection, "delivery", changes.deliveries)
    await insert_rows(connection, "message", changes.messages)
    for echo in changes.confirmed:
        await _confirm(connection, state.id, echo)
    await insert_rows(connection, "timer", changes.timers)
    if changes.timers_ended:
        await connection.execute(_TIMER_ENDED, changes.timers_ended)
    await insert_rows(connection, "incident", changes.incidents)
    await insert_rows(connection, "mark", changes.marks)
    await write_handovers(connection, changes)
    if changes.conversation:
        conversation = table("conversation")
        await connection.execute(
            conversation.update().where(conversation.c.id == state.id).values(**changes.conversation)
        )


async def _confirm(connection: AsyncConnection, conversation_id: int, echo: dict[str, Any]) -> None:
    row = (
        await connection.execute(
            _CONFIRM, {"id": conversation_id, "body": echo["text"] or "", "confirmed_at": echo["at"]}
        )
    ).one_or_none()
    if row is not None and row.status == "in_doubt":
        await connection.execute(_ARRIVED, {"delivery": row.id})
