"""Writing contacts with a conversation's transaction.

Conversations share a contact only where the channel has verified who it is: by user id, or by a WhatsApp or
SMS number. Else a contact is the conversation's own (`conversation:…`) until the channel tells who it is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversation.changes import Changes
from app.conversation.contact import merged
from app.conversation.state import ConversationState

_PUT = (
    text(
        """
    INSERT INTO contact (endpoint, identity, profile) VALUES (:endpoint, :identity, :profile)
    ON CONFLICT (endpoint, identity) DO UPDATE
        SET profile = CASE WHEN contact.active THEN contact.profile || EXCLUDED.profile
                           ELSE contact.profile END,
            last_seen_at = now()
    RETURNING id, profile
    """
    )
    .bindparams(bindparam("profile", type_=JSONB))
    .columns(profile=JSONB)
)

_LOCK = text("SELECT profile, active FROM contact WHERE id = :id FOR UPDATE").columns(profile=JSONB)

_SET = text(
    "UPDATE contact SET profile = :profile, active = :active, last_seen_at = now() WHERE id = :id"
).bindparams(bindparam("profile", type_=JSONB))

_SEEN = text("UPDATE contact SET last_seen_at = now() WHERE id = :id")

_FORGET_COPIES = text("UPDATE dialog SET contact_data = '{}' WHERE conversation_id = :id")

_FORGET = text("DELETE FROM contact WHERE id = :id AND identity LIKE 'conversation:%'")


async def write_contact(connection: AsyncConnection, state: ConversationState, changes: Changes) -> None:
    """Write what changed of the conversation's contact, and let the conversation know it."""
    if changes.contact is not None:
        await _put(connection, state, changes, changes.contact)
    if changes.contact_news is not None or changes.contact_inactive:
        await _news(connection, state, changes)
    if changes.contact_seen is not None:
        await connection.execute(_SEEN, {"id": changes.contact_seen})
    if changes.forget_contact and state.contact_id is not None:
        await connection.execute(_FORGET, {"id": state.contact_id})
        await connection.execute(_FORGET_COPIES, {"id": state.id})
        state.contact_id, state.contact_identity, state.contact = None, None, {}
        changes.conversation["contact_id"] = None


async def _put(
    connection: AsyncConnection, state: ConversationState, changes: Changes, contact: dict[str, Any]
) -> None:
    """What the channel told. A contact of the conversation's own becomes the verified one."""
    own = state.contact_identity or ""
    moves = own.startswith("conversation:") and own != contact["identity"]
    if moves:
        contact = {**contact, "profile": {**state.contact, **contact["profile"]}}
    row = (await connection.execute(_PUT, contact)).one()
    before = state.contact_id
    state.contact_id, state.contact, state.contact_identity = row.id, row.profile, contact["identity"]
    changes.conversation["contact_id"] = row.id
    if moves and before is not None and before != row.id:
        await connection.execute(_FORGET, {"id": before})


async def _news(connection: AsyncConnection, state: ConversationState, changes: Changes) -> None:
    """What the bot learned."""
    if state.contact_id is None:
        identity = f"conversation:{state.external_id}"
        new = {"endpoint": state.endpoint, "identity": identity, "profile": {}}
        row = (await connection.execute(_PUT, new)).one()
        state.contact_id, state.contact_identity = row.id, identity
        changes.conversation["contact_id"] = row.id
    found = (await connection.execute(_LOCK, {"id": state.contact_id})).one_or_none()
    if found is None:  # erased meanwhile: it stays so
        return
    profile = merged(found.profile, changes.contact_news or {}) if found.active else found.profile
    active = found.active and not changes.contact_inactive
    await connection.execute(_SET, {"id": state.contact_id, "profile": profile, "active": active})
    state.contact = profile
