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

#: When the conversation $1 is due again, by what is left to do; `delivery` is when its first open one is.
DUE = """LEAST(
        (SELECT now() WHERE EXISTS (
            SELECT 1 FROM event e WHERE e.conversation_id = $1 AND e.processed_at IS NULL)),
        (SELECT now() FROM dialog d
         WHERE d.conversation_id = $1 AND d.ended_at IS NULL AND d.status = 'running'),
        (SELECT min(t.due_at) FROM timer t WHERE t.conversation_id = $1 AND t.ended_at IS NULL){delivery}
    )"""

FIRST_OPEN = """,
        (SELECT COALESCE(d.next_attempt_at, now()) FROM delivery d
         WHERE d.conversation_id = $1 AND d.status IN ('waiting', 'sending', 'in_doubt')
         ORDER BY d.status = 'waiting', d.place LIMIT 1)"""

_SETTLE = """
UPDATE conversation c SET due_at = {due},
    deaths = CASE WHEN $2 THEN 0 ELSE c.deaths END,
    trial_epoch = CASE WHEN $2 THEN NULL ELSE c.trial_epoch END{columns}
{source}
WHERE c.id = $1
RETURNING COALESCE(c.due_at <= now(), false) AS due
"""

_SETTLE_UNLESS = """
UPDATE conversation c SET due_at = {due}
WHERE c.id = $1 AND NOT EXISTS ({open})
RETURNING COALESCE(c.due_at <= now(), false) AS due
"""


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
        due = holding.due
        if due is None:
            due = await _settle(database, state.id, turn, holding.columns)
    state.due = due


async def _settle(database: Direct, conversation_id: int, turn: bool, columns: Row) -> bool:
    """Set `due_at`; whether it is due now."""
    if columns:
        statement = _settle_with(tuple(columns))
        return bool(await database.driver.fetchval(statement, conversation_id, turn, as_json(columns)))
    return bool(await database.driver.fetchval(_settle_with(()), conversation_id, turn))


@cache
def _settle_with(names: tuple[str, ...]) -> str:
    """The statement for these columns of the conversation, given as one JSON object."""
    due = DUE.format(delivery=FIRST_OPEN)
    if not names:
        return _SETTLE.format(due=due, columns="", source="")
    columns = "".join(f", {name} = new.{name}" for name in names)
    return _SETTLE.format(due=due, columns=columns, source=f"FROM {record('conversation', names, 3)}")


def settling_unless(open_ones: str) -> str:
    """A statement that sets `due_at` of conversation $1, unless a query finds deliveries of it that are open.

    For use as a part of another one; it gives `due`, or nothing.
    """
    return _SETTLE_UNLESS.format(due=DUE.format(delivery=""), open=open_ones)
