"""API tokens: made once, shown once, kept as hashes. A token reads what its endpoints hold, or everything."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import DateTime, LargeBinary

#: What tokens may be for.
SCOPES = ("analytics",)

_AT = DateTime(timezone=True)

_NEW = text(
    """
    INSERT INTO api_token (name, scope, endpoints, hash, expires_at)
    VALUES (:name, :scope, :endpoints, :hash, :expires_at) RETURNING id
    """
).bindparams(
    bindparam("endpoints", type_=JSONB),
    bindparam("hash", type_=LargeBinary),
    bindparam("expires_at", type_=_AT),
)

_FIND = (
    text(
        """
        SELECT id, name, endpoints, last_used_at FROM api_token
        WHERE hash = :hash AND scope = :scope AND revoked_at IS NULL
          AND (expires_at IS NULL OR expires_at > :now)
        """
    )
    .bindparams(bindparam("hash", type_=LargeBinary), bindparam("now", type_=_AT))
    .columns(endpoints=JSONB, last_used_at=TIMESTAMP(timezone=True))
)

#: Once a minute is enough, and no two requests wait for each other.
_USED = text(
    """
    UPDATE api_token SET last_used_at = :now
    WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :now - interval '1 minute')
    """
).bindparams(bindparam("now", type_=_AT))

_LIST = text(
    """
    SELECT id, name, scope, endpoints, created_at, expires_at, revoked_at, last_used_at
    FROM api_token ORDER BY id
    """
).columns(endpoints=JSONB)

_REVOKE = text("UPDATE api_token SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL RETURNING name")


@dataclass(frozen=True)
class Reader:
    """Who reads. `endpoints` is None for every endpoint."""

    name: str
    endpoints: tuple[str, ...] | None = None


async def new_token(
    engine: AsyncEngine,
    *,
    name: str,
    scope: str,
    endpoints: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[int, str]:
    """Make a token; its number and the token itself, which is kept nowhere."""
    token = f"parley_{secrets.token_urlsafe(32)}"
    values = {
        "name": name,
        "scope": scope,
        "endpoints": list(endpoints),
        "hash": _hash(token),
        "expires_at": expires_at,
    }
    async with engine.begin() as connection:
        return int((await connection.execute(_NEW, values)).scalar_one()), token


async def find_reader(engine: AsyncEngine, token: str, *, scope: str, now: datetime) -> Reader | None:
    """Whose token this is; None for one that is unknown, revoked, expired or for something else."""
    async with engine.begin() as connection:
        values = {"hash": _hash(token), "scope": scope, "now": now}
        row = (await connection.execute(_FIND, values)).one_or_none()
        if row is None:
            return None
        if row.last_used_at is None or (now - row.last_used_at).total_seconds() > 60:
            await connection.execute(_USED, {"id": row.id, "now": now})
    return Reader(row.name, tuple(row.endpoints) or None)


async def list_tokens(engine: AsyncEngine) -> list[dict[str, object]]:
    """All tokens, without themselves."""
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(_LIST)).mappings()]


async def revoke_token(engine: AsyncEngine, id: int) -> str | None:
    """End a token at once; its name, None where there is no such valid one."""
    async with engine.begin() as connection:
        name = (await connection.execute(_REVOKE, {"id": id})).scalar_one_or_none()
    return None if name is None else str(name)


def _hash(token: str) -> bytes:
    """Tokens are random and long: a plain hash can't be searched."""
    return hashlib.sha256(token.encode()).digest()
