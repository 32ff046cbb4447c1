"""Until when retention has deleted what is counted of an endpoint: the hours before it are final."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import DateTime

_NOTE = text(
    """
    INSERT INTO cleared (endpoint, until) VALUES (:endpoint, now() - make_interval(secs => :seconds))
    ON CONFLICT (endpoint) DO UPDATE SET until = GREATEST(cleared.until, EXCLUDED.until)
    """
)

#: Locked, so that nothing is deleted while an hour is counted.
_CLEARED = text("SELECT endpoint FROM cleared WHERE until > :hour FOR SHARE").bindparams(
    bindparam("hour", type_=DateTime(timezone=True))
)


async def note_cleared(engine: AsyncEngine, endpoint: str, days: float) -> None:
    """From now on what is older than so many days may be missing. To be called before it is deleted."""
    async with engine.begin() as connection:
        await connection.execute(_NOTE, {"endpoint": endpoint, "seconds": days * 86_400.0})


async def cleared_endpoints(connection: AsyncConnection, hour: datetime) -> list[str]:
    """Endpoints of which things of this hour may be missing."""
    return list((await connection.execute(_CLEARED, {"hour": hour})).scalars())
