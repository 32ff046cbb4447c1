"""Every writing transaction of a session: it begins by locking the conversation and ends by setting `due_at`.

The lock comes first, in a statement of its own, so that everything after it sees what the receiver committed
before (a statement sees what was there when it began, not what it waited for). A worker that has lost the
conversation to another finds no row, and can't even insert.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversation.changes import Row
from app.conversation.state import ConversationState
from app.database.direct import Direct, transaction
from app.database.recordset import as_json, record
from app.errors import OwnershipLost

#: `busy` is of the moment before the lock. Where that had to wait and the row changed meanwhile, the row that
#: is locked is another version than the one seen.
_OWN = """
SELECT EXISTS (
    SELECT 1 FROM delivery d
    WHERE d.conversation_id = c.id AND d.status IN ('waiting', 'sending', 'in_doubt')
) AS busy,
    c.ctid <> (SELECT seen.ctid FROM conversation seen WHERE seen.id = c.id) AS changed
FROM conversation c WHERE c.id = $1 AND c.epoch = $2
FOR NO KEY UPDATE OF c
"""

_BUSY = """
SELECT EXISTS (
    SELECT 1 FROM delivery d
    WHERE d.conversation_id = $1 AND d.status IN ('waiting', 'sending', 'in_doubt')
)
"""

_DUE = """LEAST(
        (SELECT now() WHERE EXISTS (
            SELECT 1 FROM event e WHERE e.conversation_id = $1 AND e.processed_at IS NULL{events})),
        (SELECT now() FROM dialog d
         WHERE d.conversation_id = $1 AND d.ended_at IS NULL AND d.status = 'running'{dialogs}),
        (SELECT min(t.due_at) FROM timer t
         WHERE t.conversation_id = $1 AND t.ended_at IS NULL{timers}){more}
    )"""

#: When the first open delivery is to be looked at.
FIRST_OPEN = """,
        (SELECT COALESCE(d.next_attempt_at, now()) FROM delivery d
         WHERE d.conversation_id = $1 AND d.status IN ('waiting', 'sending', 'in_doubt')
         ORDER BY d.status = 'waiting', d.place LIMIT 1)"""

_SETTLE = """UPDATE conversation c SET due_at = {due}{columns}
{source}
WHERE {where}
RETURNING COALESCE(c.due_at <= now(), false) AS due"""

_TRIED = """,
    deaths = CASE WHEN {turn} THEN 0 ELSE c.deaths END,
    trial_epoch = CASE WHEN {turn} THEN NULL ELSE c.trial_epoch END"""


@dataclass(slots=True)
class Owned:
    """A transaction that holds the conversation."""

    busy: bool
    """Whether deliveries of it are open."""
    _database: Direct
    columns: Row = field(default_factory=dict)
    """Columns of the conversation to be set at the end."""
    due: bool | None = None
    """Whether it is due now, where the last statement has set `due_at` already."""

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """All rows."""
        return await self._database.driver.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The first row, if there is one."""
        return await self._database.driver.fetchrow(statement, *values)

    def is_repeatable(self) -> None:
        """Should PostgreSQL lose this transaction in a crash, what it found is found again and done again.

        So nothing that can't be taken back (a request to 8x8, a step) may follow from it.
        """
        self._database.repeatable = True

    async def sqlalchemy(self) -> AsyncConnection:
        """The transaction for what is rare: SQLAlchemy's statements."""
        return await self._database.sqlalchemy()


@asynccontextmanager
async def owned(engine: AsyncEngine, state: ConversationState, *, turn: bool = False) -> AsyncIterator[Owned]:
    """A transaction that holds the conversation, and sets `due_at` from what is left to do.

    A committed `turn` also clears the suspicion of being poison. Raises OwnershipLost when another worker has
    claimed the conversation.
    """
    async with transaction(engine) as database:
        row = await database.driver.fetchrow(_OWN, state.id, state.epoch)
        if row is None:
            raise OwnershipLost
        busy = await database.driver.fetchval(_BUSY, state.id) if row["changed"] else row["busy"]
        holding = Owned(busy, database)
        yield holding
        if holding.due is None:
            holding.due = await _settle(database, state.id, turn, holding.columns)
    state.due = holding.due


async def _settle(database: Direct, conversation_id: int, turn: bool, columns: Row) -> bool:
    """Set `due_at`; whether it is due now."""
    if columns:
        statement = _settle_with(tuple(columns))
        return bool(await database.driver.fetchval(statement, conversation_id, turn, as_json(columns)))
    return bool(await database.driver.fetchval(_settle_with(()), conversation_id, turn))


@cache
def _settle_with(names: tuple[str, ...]) -> str:
    """The statement for these columns of the conversation, given as one JSON object."""
    source = f"FROM {record('conversation', names, 3)}" if names else ""
    return settling(due(FIRST_OPEN), "c.id = $1", source, columns=setting(names, turn="$2"))


def due(more: str = "", *, events: str = "", dialogs: str = "", timers: str = "") -> str:
    """When the conversation $1 is due again, by what is left to do.

    `events`, `dialogs` and `timers` narrow what of these counts; `more` are further times.
    """
    return _DUE.format(more=more, events=events, dialogs=dialogs, timers=timers)


def settling(when: str, where: str, source: str = "", *, columns: str = "") -> str:
    """A statement that sets a conversation's `due_at`; it gives `due`, whether that is now."""
    return _SETTLE.format(due=when, where=where, source=source, columns=columns)


def setting(names: tuple[str, ...], *, turn: str) -> str:
    """Sets these columns, too, from a row `new`; after a `turn` the conversation is no suspect any more."""
    return _TRIED.format(turn=turn) + "".join(f", {name} = new.{name}" for name in names)
