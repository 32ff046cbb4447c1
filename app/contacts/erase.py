"""Erasing a contact: every table's trace of the person, in one transaction.

What was said and what was sent is deleted; rows that are counted (sessions, dialogs, handovers, events) stay
without anything that tells who it was. A worker that has one of the conversations open loses it, so that
nothing it remembers is written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import BigInteger

from app.contacts.erased_counts import erase_counts
from app.contacts.find import Wanted, conversations_of, find
from app.files.purge import FORGET

_IDS = bindparam("ids", type_=ARRAY(BigInteger))

_LOCK = text("SELECT id FROM conversation WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE").bindparams(
    _IDS
)

_RUNS = text("SELECT flow_run_id FROM session_run WHERE conversation_id = ANY(:ids)").bindparams(_IDS)

_STATEMENTS = [
    text(statement).bindparams(_IDS)
    for statement in (
        """DELETE FROM journal WHERE dialog_id IN (
            SELECT id FROM dialog WHERE conversation_id = ANY(:ids))""",
        "DELETE FROM message WHERE conversation_id = ANY(:ids)",
        "DELETE FROM delivery WHERE conversation_id = ANY(:ids)",
        f"""UPDATE file SET {FORGET}
            WHERE conversation_id = ANY(:ids) AND state <> 'deleted'""",  # noqa: S608 - a constant
        "DELETE FROM interaction WHERE conversation_id = ANY(:ids)",
        "DELETE FROM timer WHERE conversation_id = ANY(:ids)",
        """UPDATE event SET body = NULL, payload = NULL, processed_at = COALESCE(processed_at, now()),
            outcome = 'erased' WHERE conversation_id = ANY(:ids)""",
        """UPDATE dialog SET session_data = '{}', contact_data = '{}', error = NULL,
            ended_at = COALESCE(ended_at, now()),
            status = CASE WHEN ended_at IS NULL THEN 'closed' ELSE status END
            WHERE conversation_id = ANY(:ids)""",
        """UPDATE session SET data = '{}', storage = '{}', erase = true, erased_at = now(),
            end_reason = COALESCE(end_reason, 'erased'), ended_at = COALESCE(ended_at, now())
            WHERE conversation_id = ANY(:ids)""",
        """UPDATE handover SET settings = '{}', signals = '[]', reason = NULL,
            ended_at = COALESCE(ended_at, now()),
            status = CASE WHEN ended_at IS NULL THEN 'cancelled' ELSE status END
            WHERE conversation_id = ANY(:ids)""",
        "UPDATE incident SET detail = '{}' WHERE conversation_id = ANY(:ids)",
        """UPDATE session_run r SET name = 'erased' WHERE conversation_id = ANY(:ids)""",
        """UPDATE conversation SET external_id = 'erased:' || id, contact_id = NULL, known_by = '[]',
            assignment = NULL, control = 'bot', owner = NULL, due_at = NULL, epoch = epoch + 1,
            quarantined_at = NULL WHERE id = ANY(:ids)""",
    )
]

_CONTACTS = text("DELETE FROM contact WHERE id = ANY(:contacts)").bindparams(
    bindparam("contacts", type_=ARRAY(BigInteger))
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased. `runs` are Prefect's runs of the conversations: see erased_runs.py."""

    contacts: list[dict[str, Any]]
    conversations: list[int]
    runs: list[UUID]


async def erase(engine: AsyncEngine, wanted: Wanted) -> Erased:
    """Erase everybody who fits, with profile or without. Nothing is erased unless everything is."""
    async with engine.begin() as connection:
        contacts = await find(connection, wanted)
        ids = conversations_of(contacts)
        runs = await _erase_conversations(connection, ids)
        profiles = [contact["id"] for contact in contacts if contact["id"] is not None]
        await connection.execute(_CONTACTS, {"contacts": profiles})
    return Erased(contacts, ids, runs)


async def _erase_conversations(connection: AsyncConnection, ids: list[int]) -> list[UUID]:
    await connection.execute(_LOCK, {"ids": ids})
    runs = [run for run in (await connection.execute(_RUNS, {"ids": ids})).scalars() if run is not None]
    for statement in _STATEMENTS:
        await connection.execute(statement, {"ids": ids})
    await erase_counts(connection, ids)
    return runs
