"""How far the scheduled work has come: the next run goes on from there, however long it has been."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import DateTime

#: Hours were looked through for what has changed.
CHANGES = "changes"
#: Dead letters were told of.
DEAD_LETTERS = "dead_letters"

_READ = text("SELECT until FROM reached WHERE what = :what").columns(until=TIMESTAMP(timezone=True))

_WRITE = text(
    """
    INSERT INTO reached (what, until) VALUES (:what, :until)
    ON CONFLICT (what) DO UPDATE SET until = GREATEST(reached.until, EXCLUDED.until)
    """
).bindparams(bindparam("until", type_=DateTime(timezone=True)))


async def reached(connection: AsyncConnection, what: str) -> datetime | None:
    """Until when it was done; None: never."""
    found: datetime | None = (await connection.execute(_READ, {"what": what})).scalar_one_or_none()
    return found


async def reach(connection: AsyncConnection, what: str, until: datetime) -> None:
    """Note that it was done until then."""
    await connection.execute(_WRITE, {"what": what, "until": until})
