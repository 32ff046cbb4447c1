"""Writing contacts with a conversation's transaction.

Conversations share a contact only where the channel has verified who it is: by user id, or by a WhatsApp or
SMS number. Else a contact is the conversation's own (`conversation:…`) until the channel tells who it is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from app.contacts.sealed import identities, opened_profile, sealed_profile
from app.conversation.changes import Changes
from app.conversation.contact import merged
from app.conversation.state import ConversationState
from app.sealing import sealed_part

_PUT = (
    text(
        """
    INSERT INTO contact (endpoint, identity, profile) VALUES (:endpoint, :identity, :profile)
    ON CONFLICT (endpoint, identity) DO UPDATE
        SET last_seen_at = now()
    RETURNING id, profile, active
    """
    )
    .bindparams(bindparam("profile", type_=JSONB))
    .columns(profile=JSONB)
)

#: What is known by an identity of another form (sealed or not, by another key) is known by this one.
_RENAME = text(
    """
    UPDATE contact SET identity = :identity WHERE id = (
        SELECT id FROM contact WHERE endpoint = :endpoint AND identity = ANY(:others) ORDER BY id LIMIT 1)
      AND NOT EXISTS (SELECT 1 FROM contact WHERE endpoint = :endpoint AND identity = :identity)
    """
).bindparams(bindparam("others", type_=ARRAY(Text)))

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
    """What the channel told. A contact of the conversation's own becomes the verified one.

    What the own one says was told by nobody who is known: it only adds to the verified one.
    """
    own = state.contact_identity or ""
    moves = own.startswith("conversation:") and own != contact["identity"]
    told = merged(state.contact, contact["profile"]) if moves else contact["profile"]
    identity, others = identities(contact["identity"], sealed=changes.seal_contact)
    named = {"endpoint": contact["endpoint"], "identity": identity}
    if others:
        await connection.execute(_RENAME, {**named, "others": others})
    put = {**named, "profile": {} if changes.seal_contact else told}
    row = (await connection.execute(_PUT, put)).one()  # which is ours until the transaction ends
    profile = known = opened_profile(row.profile)
    if row.active:
        profile = merged(merged(told, known) if moves else known, contact["profile"])
    if changes.seal_contact or sealed_part(row.profile) is not None or profile != known:
        await _set(connection, row.id, profile, row.active, changes)
    before = state.contact_id
    state.contact_id, state.contact, state.contact_identity = row.id, profile, identity
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
    profile = opened_profile(found.profile)
    if found.active:
        profile = merged(profile, changes.contact_news or {})
    await _set(connection, state.contact_id, profile, found.active and not changes.contact_inactive, changes)
    state.contact = profile


async def _set(
    connection: AsyncConnection, id: int, profile: dict[str, Any], active: bool, changes: Changes
) -> None:
    stored = sealed_profile(profile) if changes.seal_contact else profile
    await connection.execute(_SET, {"id": id, "profile": stored, "active": active})
