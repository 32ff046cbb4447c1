# ruff: noqa: S608 - only constants are put into the statements
"""What a session's replays needed is erased with the session.

Until then events, journal, deliveries and session data hold clear text (sealed where `encrypt` says so):
a crash must lose nothing. They are erased in the transaction that ends the session; what is still being sent
or waits for a handover's end follows as soon as it is done with. What was set aside (quarantine) can be
redriven as long as its session is open, like all that could be replayed.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Text

from app.conversation.changes import Changes
from app.files.purge import FORGET

_ERASED = "jsonb_build_object('erased', true)"
#: Events that Parley itself will handle again keep what they say.
_DONE = "processed_at IS NOT NULL AND COALESCE(outcome, '') <> 'held'"
_OPEN = "('waiting', 'sending', 'in_doubt')"
#: A handover's settings without what was said: sealed ones keep their flags.
BARE_SETTINGS = "(settings - CAST('{message,cancel_text,packet,sealed}' AS text[]))"

_STATEMENTS = [
    text(statement)
    for statement in (
        f"""UPDATE event SET body = NULL, payload = {_ERASED}
            WHERE conversation_id = :conversation AND {_DONE}
              AND (session_id = :session OR session_id IS NULL)
              AND (body IS NOT NULL OR payload IS DISTINCT FROM {_ERASED})""",
        f"""UPDATE journal SET content = {_ERASED},
                name = CASE WHEN kind IN ('step', 'result') THEN 'erased' ELSE name END
            WHERE dialog_id IN (SELECT id FROM dialog WHERE session_id = :session)""",
        """UPDATE dialog SET session_data = '{}', contact_data = '{}' WHERE session_id = :session""",
        f"""UPDATE delivery SET content = {_ERASED},
                reason = CASE WHEN status = 'dead' THEN split_part(reason, ':', 1) ELSE reason END
            WHERE conversation_id = :conversation AND (session_id = :session OR session_id IS NULL)
              AND status NOT IN {_OPEN} AND content IS DISTINCT FROM {_ERASED}""",
        """UPDATE delivery_attempt a SET error = NULL FROM delivery d
            WHERE d.id = a.delivery_id AND d.conversation_id = :conversation
              AND (d.session_id = :session OR d.session_id IS NULL) AND a.error IS NOT NULL""",
        f"""UPDATE file f SET {FORGET}
            WHERE conversation_id = :conversation AND state <> 'deleted'
              AND (session_id = :session OR event_id IN (
                  SELECT id FROM event WHERE conversation_id = :conversation AND {_DONE}
                    AND (session_id = :session OR session_id IS NULL)))
              AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.id = f.delivery_id AND d.status IN {_OPEN})""",
        """UPDATE incident SET detail = detail - 'reason'
            WHERE conversation_id = :conversation AND detail ? 'reason'""",
        f"""UPDATE handover SET settings = {BARE_SETTINGS}
            WHERE session_id = :session AND ended_at IS NOT NULL""",
        f"""UPDATE session SET data = '{{}}', storage = '{{}}', erased_at = CASE WHEN NOT EXISTS (
                SELECT 1 FROM delivery d WHERE d.conversation_id = :conversation
                  AND d.session_id = :session AND d.status IN {_OPEN}
            ) AND NOT EXISTS (
                SELECT 1 FROM event e WHERE e.conversation_id = :conversation
                  AND e.session_id = :session AND e.outcome = 'held'
            ) THEN now() END
            WHERE id = :session""",
    )
]

_EVENTS = text(f"UPDATE event SET body = NULL, payload = {_ERASED} WHERE id = ANY(:events) AND {_DONE}")

_LEFT = text(
    """
    SELECT id, conversation_id FROM session
    WHERE erase AND ended_at IS NOT NULL AND erased_at IS NULL ORDER BY conversation_id LIMIT :most
    """
)

#: Services notify users when no session is open too.
_ALONE = text(
    f"""
    WITH alone AS (
        SELECT id FROM delivery
        WHERE endpoint = ANY(:endpoints) AND session_id IS NULL AND ended_at IS NOT NULL
          AND content->>'erased' IS NULL AND status NOT IN {_OPEN}
        LIMIT :most FOR UPDATE SKIP LOCKED
    ), attempts AS (
        UPDATE delivery_attempt SET error = NULL
        WHERE delivery_id IN (SELECT id FROM alone) AND error IS NOT NULL
    )
    UPDATE delivery SET content = {_ERASED},
        reason = CASE WHEN status = 'dead' THEN split_part(reason, ':', 1) ELSE reason END
    WHERE id IN (SELECT id FROM alone)
    """
).bindparams(bindparam("endpoints", type_=ARRAY(Text)))

_LOCK = text("SELECT id FROM conversation WHERE id = :id FOR NO KEY UPDATE SKIP LOCKED")


async def erase(connection: AsyncConnection, conversation_id: int, changes: Changes) -> None:
    """Erase what the transaction's changes say is over. The conversation's row is locked."""
    for session_id in changes.erased:
        await erase_session(connection, conversation_id, session_id)
    if changes.erase_events:
        await connection.execute(_EVENTS, {"events": changes.erase_events})


async def erase_session(connection: AsyncConnection, conversation_id: int, session_id: int) -> None:
    """Erase what is done with of a session that has ended. The conversation's row is locked."""
    for statement in _STATEMENTS:
        await connection.execute(statement, {"conversation": conversation_id, "session": session_id})


async def erase_what_is_left(engine: AsyncEngine, *, endpoints: Iterable[str] = (), most: int = 100) -> int:
    """Erase what could not be erased with its session, where that is done with by now; sessions looked at.

    Of `endpoints`, where nothing of a text outlives a session, also what was sent outside of any.
    """
    names = list(endpoints)
    if names:
        async with engine.begin() as connection:
            await connection.execute(_ALONE, {"endpoints": names, "most": most})
    async with engine.connect() as connection:
        left = (await connection.execute(_LEFT, {"most": most})).all()
    for row in left:
        async with engine.begin() as connection:
            if (await connection.execute(_LOCK, {"id": row.conversation_id})).one_or_none() is not None:
                await erase_session(connection, row.conversation_id, row.id)
    return len(left)
