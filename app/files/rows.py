"""The table `file`: what each statement does to it is named here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.conversation.owned import Owned
from app.files.outgoing import About
from app.files.sealed import name_stored
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

_OFFER = """
INSERT INTO file (key, endpoint, conversation_id, session_id, position, direction, name, type, size, sha256)
VALUES ($1, $2, $3, $4, $5, 'out', $6, $7, $8, $9)
ON CONFLICT (key) DO UPDATE SET session_id = excluded.session_id
"""

_SAID = """
SELECT key, gateway_id FROM file
WHERE conversation_id = $1 AND key = ANY($2) AND direction = 'out' AND state = 'stored'
"""

_UPLOADED = """
UPDATE file SET gateway_id = $2 WHERE key = $1 AND state = 'stored'
"""

#: Of the turn's transaction: the file is said, and goes with this delivery if with any.
TAKEN = """
UPDATE file SET state = 'stored', stored_at = COALESCE(file.stored_at, now()),
    delivery_id = COALESCE(new.file_delivery, file.delivery_id), session_id = new.file_session
FROM {rows} WHERE file.key = new.file_key AND file.conversation_id = new.file_of
    AND file.direction = 'out' AND file.state IN ('wanted', 'stored')
"""
TAKEN_COLUMNS = {
    "file_key": "text",
    "file_of": "bigint",
    "file_delivery": "bigint",
    "file_session": "bigint",
}


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

    Where a file is to be `sealed`, its name is too.
    """
    for position, attachment in enumerate(attachments):
        name = name_stored(attachment.get("name"), sealed=sealed)
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


async def offer(
    holding: Owned,
    *,
    key: str,
    endpoint: str,
    conversation: int,
    session: int | None,
    position: int,
    name: str | None,
    about: About,
) -> None:
    """A row for a file that a bot is about to say, made unless it is there."""
    await holding.fetch(
        _OFFER, key, endpoint, conversation, session, position, name, about.type, about.size, about.sha256
    )


async def said(holding: Owned, conversation: int, keys: Sequence[str]) -> dict[str, str | None]:
    """8x8's ids of the conversation's files with these keys, as far as they have been uploaded."""
    found = await holding.fetch(_SAID, conversation, list(keys))
    return {row["key"]: row["gateway_id"] for row in found}


async def uploaded(holding: Owned, key: str, gateway_id: str) -> None:
    """Keep 8x8's id of a file."""
    await holding.fetch(_UPLOADED, key, gateway_id)


def _row(found: asyncpg.Record) -> FileRow:
    return FileRow(**dict(found))
