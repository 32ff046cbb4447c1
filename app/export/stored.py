"""What is stored of a conversation, as far as a scenario tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.contacts.sealed import opened_profile
from app.sealing import unseal

#: By arrival here: 8x8's clock and ours may differ. What happened at one moment is told causes first.
_STORY = text(
    """
    SELECT * FROM (
        SELECT COALESCE(e.received_at, m.at) AS at, 1 AS rank, m.id, 'message' AS what,
               m.author, m.author_id, m.kind, m.text, m.content, e.payload
        FROM message m LEFT JOIN event e ON e.id = m.event_id AND m.author <> 'bot'
        WHERE m.conversation_id = :id
        UNION ALL
        SELECT d.created_at, 2, d.id, 'assignment', NULL, NULL, NULL, NULL, d.content, NULL
        FROM delivery d WHERE d.conversation_id = :id AND d.kind = 'assignment'
        UNION ALL
        SELECT e.received_at, 0, e.id, e.type, NULL, NULL, NULL, NULL, NULL, e.payload
        FROM event e
        WHERE e.conversation_id = :id AND e.type IN ('MEMBERS_CHANGED', 'TRANSFER', 'QUEUED')
    ) AS story
    ORDER BY at, rank, id
    """
)

_BEGINNING = text(
    """
    SELECT c.channel, c.endpoint, k.profile,
           (SELECT e.payload FROM event e
            WHERE e.conversation_id = c.id AND e.type = 'CONVERSATION_UPDATE' AND e.payload IS NOT NULL
            ORDER BY e.id LIMIT 1) AS first_update
    FROM conversation c LEFT JOIN contact k ON k.id = c.contact_id
    WHERE c.id = :id
    """
)


@dataclass(frozen=True)
class Item:
    """What happened. `what` is "message", "assignment" or the event's type; `data` is the event's."""

    at: datetime
    what: str
    author: str | None = None
    author_id: str | None = None
    kind: str | None = None
    text: str | None = None
    content: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class StoredConversation:
    """A conversation: `user` as 8x8 first told of it, `profile` what was known of the contact in the end."""

    endpoint: str
    channel: str | None
    user: dict[str, Any]
    profile: dict[str, Any]
    story: list[Item]


async def read_story(engine: AsyncEngine, conversation_id: int) -> StoredConversation:
    """Read it by Parley's own number. Raises LookupError where there is none.

    What is stored encrypted is opened; raises ConfigurationError where this process hasn't the key.
    """
    async with engine.connect() as connection:
        beginning = (await connection.execute(_BEGINNING, {"id": conversation_id})).one_or_none()
        if beginning is None:
            raise LookupError(f"there is no conversation {conversation_id}")
        rows = (await connection.execute(_STORY, {"id": conversation_id})).mappings().all()
    user = (_data(beginning.first_update) or {}).get("user")
    return StoredConversation(
        beginning.endpoint,
        beginning.channel,
        user or {},
        opened_profile(beginning.profile),
        [_item(row) for row in rows],
    )


def _item(row: RowMapping) -> Item:
    fields = ("at", "what", "author", "author_id", "kind", "text")
    known = {name: row[name] for name in fields}
    return Item(**known, content=unseal(row["content"]), data=_data(row["payload"]))


def _data(payload: Any) -> dict[str, Any] | None:
    """An event's `data`."""
    opened = unseal(payload)
    data = opened.get("data") if isinstance(opened, dict) else None
    return data if isinstance(data, dict) else None
