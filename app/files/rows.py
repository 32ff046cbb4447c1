"""The table `file`: what each statement does to it is named here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.conversation.owned import Owned
from app.files.store import new_key

_WANT = """
INSERT INTO file (
    key, endpoint, conversation_id, event_id, position, direction, name, declared_type, gateway_id
) VALUES ($1, $2, $3, $4, $5, 'in', $6, $7, $8)
ON CONFLICT (event_id, position) WHERE direction = 'in' AND state <> 'deleted' DO NOTHING
"""

_OF_EVENT = """
SELECT id, key, position, state, reason, scan, type, size FROM file
WHERE event_id = $1 AND direction = 'in' AND state <> 'deleted' ORDER BY position
"""

_SETTLE = """
UPDATE file SET state = $2, reason = $3, scan = $4, type = $5, size = $6, sha256 = $7,
    stored_at = CASE WHEN $2 = 'stored' THEN now() END
WHERE id = $1 AND state = 'wanted'
"""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file that came with an event."""

    id: int
    key: str
    position: int
    state: str
    reason: str | None
    scan: str
    type: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of fetching a file. `signature`: what ClamAV found in it."""

    state: str
    reason: str | None = None
    scan: str = "not_scanned"
    type: str | None = None
    size: int | None = None
    sha256: bytes | None = None
    signature: str | None = None


async def want(
    holding: Owned,
    *,
    endpoint: str,
    conversation: int,
    event: int,
    attachments: Sequence[Mapping[str, Any]],
    sealed: bool,
) -> list[FileRow]:
    """A row for each attachment of an event, made unless it is there; in their order.

    Where a file is to be `sealed`, its name isn't kept in the clear either: the journal has it.
    """
    for position, attachment in enumerate(attachments):
        name = None if sealed else attachment.get("name")
        await holding.fetch(
            _WANT,
            new_key(sealed=sealed),
            endpoint,
            conversation,
            event,
            position,
            name,
            attachment.get("type"),
            attachment.get("id"),
        )
    return [_row(found) for found in await holding.fetch(_OF_EVENT, event)]


async def settle(holding: Owned, file: int, fetched: Fetched) -> None:
    """Keep what became of a file."""
    await holding.fetch(
        _SETTLE,
        file,
        fetched.state,
        fetched.reason,
        fetched.scan,
        fetched.type,
        fetched.size,
        fetched.sha256,
    )


def _row(found: asyncpg.Record) -> FileRow:
    return FileRow(**dict(found))
