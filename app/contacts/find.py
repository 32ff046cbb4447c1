"""Finding a contact, and handing out everything that is stored of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import BigInteger, Text

from app.contacts.known_by import by_detail, by_id
from app.contacts.sealed import identities_of, profile_digests
from app.conversation.privacy.sealed import readable
from app.errors import ConfigurationError
from app.files.sealed import name_of

_FIND = text(
    """
    SELECT k.id, k.endpoint, k.identity, k.profile, k.active, k.first_seen_at, k.last_seen_at,
        COALESCE((SELECT array_agg(c.id ORDER BY c.id) FROM conversation c WHERE c.contact_id = k.id),
                 '{}') AS conversations
    FROM contact k
    WHERE (CAST(:endpoint AS text) IS NULL OR k.endpoint = :endpoint)
      AND (CAST(:id AS text) IS NULL OR CAST(k.id AS text) = :id OR k.identity = ANY(:users)
           OR k.id IN (SELECT contact_id FROM conversation WHERE external_id = :id))
      AND (CAST(:email AS text) IS NULL OR lower(k.profile->>'email') = lower(:email)
           OR jsonb_exists_any(k.profile->'digests', :emails))
      AND (CAST(:phone AS text) IS NULL OR k.identity = ANY(:addresses)
           OR jsonb_exists_any(k.profile->'digests', :numbers) OR :digits = ANY(ARRAY[
          regexp_replace(k.profile->>'phone', '[^0-9]', '', 'g'),
          regexp_replace(k.profile->>'msisdn', '[^0-9]', '', 'g'),
          regexp_replace(k.identity, '[^0-9]', '', 'g')]))
    ORDER BY k.id
    """
).bindparams(*(bindparam(name, type_=ARRAY(Text)) for name in ("users", "addresses", "emails", "numbers")))

#: Conversations of people without a profile: it is gone, or there never was one.
_WITHOUT = text(
    """
    SELECT CAST(NULL AS bigint) AS id, c.endpoint, 'conversation:' || c.external_id AS identity,
        CAST('{}' AS jsonb) AS profile, true AS active, c.created_at AS first_seen_at,
        COALESCE(c.handled_at, c.created_at) AS last_seen_at, ARRAY[c.id] AS conversations
    FROM conversation c
    WHERE c.contact_id IS NULL
      AND (CAST(:endpoint AS text) IS NULL OR c.endpoint = :endpoint)
      AND (CAST(:id AS text) IS NULL OR c.external_id = :id OR jsonb_exists_any(c.known_by, :known_ids))
      AND (CAST(:email AS text) IS NULL OR jsonb_exists_any(c.known_by, :known_emails))
      AND (CAST(:phone AS text) IS NULL OR jsonb_exists_any(c.known_by, :known_numbers))
    ORDER BY c.id
    """
).bindparams(*(bindparam(f"known_{name}", type_=ARRAY(Text)) for name in ("ids", "emails", "numbers")))

#: Everything that names a conversation, and how.
TABLES = {
    "conversation": "id = ANY(:ids)",
    "session": "conversation_id = ANY(:ids)",
    "event": "conversation_id = ANY(:ids)",
    "message": "conversation_id = ANY(:ids)",
    "file": "conversation_id = ANY(:ids)",
    "dialog": "conversation_id = ANY(:ids)",
    "journal": "dialog_id IN (SELECT id FROM dialog WHERE conversation_id = ANY(:ids))",
    "delivery": "conversation_id = ANY(:ids)",
    "delivery_attempt": "delivery_id IN (SELECT id FROM delivery WHERE conversation_id = ANY(:ids))",
    "timer": "conversation_id = ANY(:ids)",
    "handover": "conversation_id = ANY(:ids)",
    "handover_transition": "handover_id IN (SELECT id FROM handover WHERE conversation_id = ANY(:ids))",
    "mark": "conversation_id = ANY(:ids)",
    "interaction": "conversation_id = ANY(:ids)",
    "session_run": "conversation_id = ANY(:ids)",
    "incident": "conversation_id = ANY(:ids)",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which contacts: by all that is given. `id`: Parley's number, the channel's user id or 8x8's
    conversation id."""

    id: str | None = None
    email: str | None = None
    phone: str | None = None
    endpoint: str | None = None

    def parameters(self) -> dict[str, Any]:
        """For the statement; phone numbers are compared by their digits, what is sealed by digests."""
        digits = "".join(char for char in self.phone or "" if char.isdigit()) or None
        return {
            "id": self.id,
            "email": self.email,
            "phone": self.phone,
            "digits": digits,
            "endpoint": self.endpoint,
            "users": identities_of(self.id) if self.id else [],
            "addresses": identities_of(self.phone) if self.phone else [],
            "emails": profile_digests("email", self.email) if self.email else [],
            "numbers": profile_digests("phone", self.phone) if digits and self.phone else [],
            "known_ids": by_id(self.id) if self.id else [],
            "known_emails": by_detail("email", self.email) if self.email else [],
            "known_numbers": by_detail("phone", self.phone) if digits and self.phone else [],
        }


async def find(connection: AsyncConnection, wanted: Wanted) -> list[dict[str, Any]]:
    """The contacts, each with the numbers of its conversations. Without a profile there is no `id`."""
    values = wanted.parameters()
    rows = [
        row
        for statement in (_FIND, _WITHOUT)
        for row in (await connection.execute(statement, _of(statement, values))).mappings()
    ]
    return [{**row, "profile": readable(row["profile"])} for row in rows]


def _of(statement: TextClause, values: dict[str, Any]) -> dict[str, Any]:
    """The parameters that the statement has."""
    return {name: value for name, value in values.items() if name in statement.compile().params}


async def find_contacts(engine: AsyncEngine, wanted: Wanted) -> list[dict[str, Any]]:
    """The contacts, each with the numbers of its conversations."""
    async with engine.connect() as connection:
        return await find(connection, wanted)


async def export(engine: AsyncEngine, wanted: Wanted) -> dict[str, Any]:
    """Everything that is stored of these contacts, table by table; what is sealed is opened."""
    async with engine.connect() as connection:
        contacts = await find(connection, wanted)
        ids = conversations_of(contacts)
        stored = {name: await _rows(connection, name, where, ids) for name, where in TABLES.items()}
    for file in stored["file"]:
        file["name"] = _name(file)
    return {"contacts": contacts, **stored}


def conversations_of(contacts: Sequence[dict[str, Any]]) -> list[int]:
    """The numbers of all their conversations."""
    return sorted({id for contact in contacts for id in contact["conversations"]})


def _name(file: dict[str, Any]) -> str | None:
    """The file's name, opened where this process has the key."""
    try:
        return name_of(file["name"], file["key"])
    except ConfigurationError:
        return str(file["name"])


async def _rows(connection: AsyncConnection, table: str, where: str, ids: list[int]) -> list[dict[str, Any]]:
    query = text(
        f"SELECT to_jsonb(t) AS row FROM {table} t WHERE {where}"  # noqa: S608 - constants only
    ).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
    return [readable(row) for row in (await connection.execute(query, {"ids": ids})).scalars()]
