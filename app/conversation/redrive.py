"""Dead deliveries, sent after all: last in their conversations' order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import BigInteger, DateTime, Text

from app.database.engine import DUE_CHANNEL

#: What a delivery's reason says when it may have arrived after all.
IN_DOUBT = "in doubt"

#: Seconds a redriven delivery may take, where endpoints.yaml doesn't say.
MAX_AGE = 600.0

_CHOOSE = text(
    """
    SELECT d.id, d.conversation_id, d.endpoint FROM delivery d
    WHERE d.status = 'dead' AND d.content->>'erased' IS NULL
      AND (CAST(:ids AS bigint[]) IS NULL OR d.id = ANY(CAST(:ids AS bigint[])))
      AND (CAST(:endpoint AS text) IS NULL OR d.endpoint = CAST(:endpoint AS text))
      AND (CAST(:since AS timestamptz) IS NULL OR d.ended_at >= CAST(:since AS timestamptz))
    ORDER BY d.conversation_id, d.place
    """
).bindparams(
    bindparam("ids", type_=ARRAY(BigInteger)),
    bindparam("endpoint", type_=Text),
    bindparam("since", type_=DateTime(timezone=True)),
)

#: First, so that no turn of the conversation is under way while its deliveries change.
_LOCK = text("SELECT id FROM conversation WHERE id = :id FOR NO KEY UPDATE")

_REVIVE = text(
    """
    UPDATE delivery SET status = 'waiting', reason = NULL, ended_at = NULL, in_doubt_since = NULL,
        sent_at = NULL, confirmed_at = NULL, confirmed_by = NULL, readings = 0,
        place = nextval('delivery_order'), next_attempt_at = now(),
        expires_at = now() + make_interval(secs => :max_age)
    WHERE id = :id AND status = 'dead' AND (:may_duplicate OR reason <> :in_doubt)
    RETURNING id
    """
)

_DUE = text("UPDATE conversation SET due_at = LEAST(due_at, now()) WHERE id = :id")

#: The hours these deliveries were counted in are counted again.
_RECOUNT = text(
    """
    UPDATE rollup_progress SET settled = false WHERE hour IN (
        SELECT date_trunc('hour', created_at, 'UTC') FROM delivery WHERE id = ANY(:ids))
    """
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))

_TELL = text("SELECT pg_notify(:channel, :ids)")


@dataclass(frozen=True)
class Redriven:
    """What a redrive did: ids of deliveries that wait again, and of those left dead because in doubt."""

    redriven: list[int] = field(default_factory=list)
    in_doubt: list[int] = field(default_factory=list)
    not_dead: list[int] = field(default_factory=list)
    """Asked for by id, but there is no such dead delivery."""


async def redrive(
    engine: AsyncEngine,
    *,
    ids: Sequence[int] | None = None,
    endpoint: str | None = None,
    since: datetime | None = None,
    may_duplicate: bool = False,
    max_age: Mapping[str, float] | None = None,
) -> Redriven:
    """Let dead deliveries wait again: those of all conditions given, a conversation in one transaction.

    `since` is when they died. One that died in doubt may have arrived; it is sent again only with
    `may_duplicate`. `max_age` is the seconds a delivery may take, by endpoint. Whether the bot still has the
    conversation is checked when it is sent, as ever.
    """
    result = Redriven()
    async with engine.connect() as connection:
        query = {"ids": list(ids) if ids is not None else None, "endpoint": endpoint, "since": since}
        chosen = (await connection.execute(_CHOOSE, query)).all()
    result.not_dead.extend(sorted(set(ids or []) - {row.id for row in chosen}))
    for conversation_id in dict.fromkeys(row.conversation_id for row in chosen):
        mine = [(row.id, row.endpoint) for row in chosen if row.conversation_id == conversation_id]
        async with engine.begin() as connection:
            revived = await _revive(connection, conversation_id, mine, may_duplicate, max_age or {})
        result.redriven.extend(revived)
        result.in_doubt.extend(id for id, _ in mine if id not in revived)
        if revived:
            async with engine.begin() as connection:
                await connection.execute(_TELL, {"channel": DUE_CHANNEL, "ids": str(conversation_id)})
    return result


async def _revive(
    connection: AsyncConnection,
    conversation_id: int,
    deliveries: list[tuple[int, str]],
    may_duplicate: bool,
    max_age: Mapping[str, float],
) -> list[int]:
    await connection.execute(_LOCK, {"id": conversation_id})
    revived = []
    for id, endpoint in deliveries:
        values = {
            "id": id,
            "may_duplicate": may_duplicate,
            "in_doubt": IN_DOUBT,
            "max_age": max_age.get(endpoint, MAX_AGE),
        }
        if (await connection.execute(_REVIVE, values)).scalar_one_or_none() is not None:
            revived.append(id)
    if revived:
        await connection.execute(_RECOUNT, {"ids": revived})
        await connection.execute(_DUE, {"id": conversation_id})
    return revived
