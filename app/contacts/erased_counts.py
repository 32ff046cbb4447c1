"""What counts by the hour say in the words of people who are erased.

A bot may set an intent or a goal to what somebody said. Parts of counts that only the marks of these people
stand for are deleted; what others' marks say too tells of nobody, and stays counted.
"""

from __future__ import annotations

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import BigInteger

#: An hour that is being counted is waited for; one that is counted later finds the marks gone.
_ALONE = text("LOCK TABLE rollup_part IN SHARE ROW EXCLUSIVE MODE")

#: `part` as `app/analytics/statements.py` makes it.
_PARTS = text(
    """
    DELETE FROM rollup_part p USING (
        SELECT DISTINCT m.endpoint, m.kind, m.value FROM mark m
        WHERE m.conversation_id = ANY(:ids) AND m.kind IN ('intent', 'goal') AND NOT EXISTS (
            SELECT 1 FROM mark o WHERE o.endpoint = m.endpoint AND o.kind = m.kind AND o.value = m.value
              AND o.conversation_id <> ALL(:ids))
    ) own
    WHERE p.endpoint = own.endpoint AND (
        (p.measure = own.kind AND p.part = left(own.value, 200))
        OR (p.measure = 'drop_off' AND p.part = left(own.kind || ' ' || own.value, 200)))
    """
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))

_MARKS = text("DELETE FROM mark WHERE conversation_id = ANY(:ids)").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger))
)


async def erase_counts(connection: AsyncConnection, ids: list[int]) -> None:
    """Delete the marks of these conversations, and what is counted in words of theirs alone."""
    await connection.execute(_ALONE)
    await connection.execute(_PARTS, {"ids": ids})
    await connection.execute(_MARKS, {"ids": ids})
