"""All that the receiver asks of the database, and the one place where its errors are translated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import structlog

from app.contacts.sealed import identities_of
from app.database.engine import RECEIVER
from app.files.sealed import SEALED, name_of
from app.files.serving import StoredFile
from app.receiver import inbox
from app.receiver.gauges import READ
from app.receiver.inbox import Arrival, Stored, Unavailable
from app.receiver.pool import Connection, Pool, close, create_pool
from app.receiver.throttle import Throttle
from app.transformers.threads import STUCK

log = structlog.get_logger()

T = TypeVar("T")

#: How long a batch waits for a locked row, in seconds, before its events are stored singly.
BRIEFLY = 0.1
BATCHES, OTHERS = 2, 6

#: The connection broke: another one may work.
BROKEN = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's farewell came just as a statement began
    asyncpg.PostgresConnectionError,
)
#: The database can't be used now. Any other of its errors is about the statement.
AWAY = (
    *BROKEN,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)

PIN = """
INSERT INTO endpoint_state AS s (endpoint, tenant) VALUES ($1, $2)
ON CONFLICT (endpoint) DO UPDATE SET tenant = COALESCE(s.tenant, excluded.tenant)
RETURNING tenant
"""
VERIFIED = """
INSERT INTO endpoint_state (endpoint, verified_at) VALUES ($1, now())
ON CONFLICT (endpoint) DO UPDATE SET verified_at = excluded.verified_at
"""


FILE = "SELECT key, name, type, size FROM file WHERE key = ANY($1) AND state = 'stored'"

KNOWN_BODY = "SELECT body_sha256 FROM event WHERE endpoint = $1 AND event_id = $2"

#: By 8x8's conversation id; else the newest conversation of the contact with that user id or number. Where
#: both are given and the channel told who the user is, they must fit together.
FIND = """
SELECT c.external_id, c.control, s.storage FROM conversation c
LEFT JOIN contact k ON k.id = c.contact_id
LEFT JOIN session s ON s.conversation_id = c.id AND s.ended_at IS NULL
WHERE c.endpoint = $1
  AND CASE WHEN $2::text IS NOT NULL
      THEN c.external_id = $2
          AND ($3::text IS NULL OR k.id IS NULL OR k.identity LIKE 'conversation:%'
               OR k.identity = ANY($4::text[]))
      ELSE c.contact_id IN (SELECT id FROM contact WHERE endpoint = $1 AND identity = ANY($4::text[]))
      END
ORDER BY c.id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation that a service may mean. `storage` is its open session's, as JSON text."""

    external_id: str
    control: str
    storage: str | None


class Database:
    """Connections and what is done with them. Every method raises Unavailable while the database is away."""

    def __init__(self, batches: Pool, others: Pool) -> None:
        self._batches, self._others = batches, others
        self._complaints = Throttle(1.0)

    @classmethod
    async def open(cls, url: str) -> Database:
        """The database at `url`; nothing connects yet."""
        return cls(
            await create_pool(url, size=BATCHES, lock=BRIEFLY, application="parley-receiver-batch"),
            await create_pool(url, size=OTHERS, lock=RECEIVER.lock, application="parley-receiver"),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await close(self._batches)
        await close(self._others)

    async def store_together(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        """Store events in one transaction, waiting only briefly for rows that are locked."""
        return await self._do(self._batches, lambda connection: inbox.store(connection, arrivals))

    async def store_singly(self, arrival: Arrival) -> Stored:
        """Store one event, waiting as long as a receiver may."""
        [stored] = await self._do(self._others, lambda connection: inbox.store(connection, [arrival]))
        return stored

    async def report_mismatch(self, arrival: Arrival) -> bool:
        """Make the incident of an event id that came with another body; True if it is a new one."""
        return await self._do(self._others, lambda connection: inbox.report_mismatch(connection, arrival))

    async def pin_tenant(self, endpoint: str, tenant: str) -> str:
        """The endpoint's pinned tenant: this one, if none was pinned before."""
        pinned = await self._do(self._others, lambda connection: connection.fetchval(PIN, endpoint, tenant))
        return str(pinned)

    async def note_verified(self, endpoint: str) -> None:
        """Note that 8x8 tested the connection just now."""
        await self._do(self._others, lambda connection: connection.execute(VERIFIED, endpoint))

    async def known_body(self, endpoint: str, event_id: str) -> bytes | None:
        """SHA-256 of the body that came with this event id; None for one that did not come."""
        found = await self._do(
            self._others, lambda connection: connection.fetchval(KNOWN_BODY, endpoint, event_id)
        )
        return None if found is None else bytes(found)

    async def find_conversation(
        self, endpoint: str, session_id: str | None, user_id: str | None
    ) -> Found | None:
        """The conversation with 8x8's id `session_id`, else the newest of the contact `user_id`."""
        known_as = identities_of(user_id) if user_id is not None else []
        row = await self._do(
            self._others,
            lambda connection: connection.fetchrow(FIND, endpoint, session_id, user_id, known_as),
        )
        return None if row is None else Found(row["external_id"], row["control"], row["storage"])

    async def report_stuck(self, endpoint: str) -> None:
        """Make the incident of transformers that hold every thread, unless it is open."""
        await self._do(self._others, lambda connection: connection.execute(STUCK, endpoint))

    async def stored_file(self, number: str) -> StoredFile | None:
        """The stored file that a URL names so."""
        keys = [f"{number[:2]}/{number}{end}" for end in ("", SEALED)]
        row = await self._do(self._others, lambda connection: connection.fetchrow(FILE, keys))
        if row is None:
            return None
        return StoredFile(row["key"], name_of(row["name"], row["key"]), row["type"], row["size"])

    async def read_gauges(self) -> Mapping[str, Any]:
        """What the database knows of the whole installation: see gauges.py."""
        row = await self._do(self._others, lambda connection: connection.fetchrow(READ))
        assert row is not None
        return dict(row)

    async def version(self) -> str | None:
        """The version of the tables; None where there are none."""
        try:
            found = await self._do(
                self._others,
                lambda connection: connection.fetchval("SELECT version_num FROM alembic_version"),
            )
        except asyncpg.UndefinedTableError:
            return None
        return None if found is None else str(found)

    async def _do(self, pool: Pool, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do it, once more if the connection turns out to be broken: all of it may be repeated."""
        try:
            try:
                return await _once(pool, work)
            except TimeoutError:  # an OSError too, but the next one would only wait again
                raise
            except BROKEN:
                await pool.expire_connections()  # what cut one has probably cut them all
                return await _once(pool, work)
        except AWAY as error:
            if self._complaints.passes():
                log.warning("database_away", error=type(error).__name__)
            raise Unavailable("the database is away") from None


async def _once(pool: Pool, work: Callable[[Connection], Awaitable[T]]) -> T:
    async with pool.acquire(timeout=RECEIVER.pool_wait) as connection:
        try:
            return await work(connection)
        except BROKEN:
            connection.terminate()
            raise
