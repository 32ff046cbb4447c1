"""Deleting files: first the row tells nothing any more, then the object goes, then the row.

So there is no object without a row. One that may still be being fetched waits until that must be over.
"""

from __future__ import annotations

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import BigInteger

from app.files.store import FileStore, smaller_folder

#: What an UPDATE of `file` sets to have it deleted.
FORGET = """state = 'deleted', deleted_at = now(), name = NULL, declared_type = NULL, sha256 = NULL,
    gateway_id = NULL, reason = NULL"""

_DELETED = text(
    """
    SELECT id, key, type FROM file
    WHERE state = 'deleted' AND (stored_at IS NOT NULL OR deleted_at < now() - interval '10 minutes')
    ORDER BY deleted_at LIMIT :most
    """
)

_GONE = text("DELETE FROM file WHERE id = ANY(:ids) AND state = 'deleted'").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger))
)


async def purge(engine: AsyncEngine, store: FileStore, *, most: int = 100) -> int:
    """Delete the objects of deleted files and then their rows; how many. Raises StorageFailed."""
    async with engine.connect() as connection:
        found = (await connection.execute(_DELETED, {"most": most})).all()
    for file in found:
        await store.delete([file.key])
        if (file.type or "").startswith("image/"):
            await store.delete_below(smaller_folder(file.key))
    if found:
        async with engine.begin() as connection:
            await connection.execute(_GONE, {"ids": [file.id for file in found]})
    return len(found)
