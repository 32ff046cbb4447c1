"""Sessions whose time is over and that nobody will touch again are ended.

Else a session would stay open until its user comes back, and what is erased with a session would stay too.
Nothing changes by it for the user: the next input would have started a new session anyway.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import DateTime, Float, Text

from app.conversation.draft import Draft
from app.conversation.inputs import session_over
from app.conversation.loading import load
from app.conversation.owned import owned
from app.conversation.privacy.sealed import seal_changes
from app.conversation.services import Services
from app.conversation.store import write
from app.errors import OwnershipLost

#: Nobody has it, nothing waits, no timer runs, the bot answers: only the clock goes on.
_LAPSED = text(
    """
    SELECT c.id FROM session s
    JOIN conversation c ON c.id = s.conversation_id
    JOIN unnest(:endpoints, :seconds) AS e (endpoint, seconds) ON e.endpoint = c.endpoint
    WHERE s.ended_at IS NULL AND c.owner IS NULL AND c.due_at IS NULL AND c.control = 'bot'
      AND COALESCE(s.last_input_at, s.started_at) < :now - make_interval(secs => e.seconds)
      AND NOT EXISTS (SELECT 1 FROM handover h WHERE h.conversation_id = c.id
                      AND h.ended_at >= :now - make_interval(secs => e.seconds))
    LIMIT :most
    """
).bindparams(
    bindparam("endpoints", type_=ARRAY(Text)),
    bindparam("seconds", type_=ARRAY(Float)),
    bindparam("now", type_=DateTime(timezone=True)),
)

_STILL = "SELECT owner IS NULL AND due_at IS NULL AS free FROM conversation WHERE id = $1"


async def end_lapsed(services: Services, *, most: int = 100) -> int:
    """End such sessions; how many."""
    expirations = {
        name: endpoint.session_expiration
        for name, endpoint in services.endpoints.items()
        if endpoint.session_expiration > 0
    }
    now = services.now()
    query = {
        "endpoints": list(expirations),
        "seconds": list(expirations.values()),
        "now": now,
        "most": most,
    }
    async with services.engine.connect() as connection:
        lapsed = list((await connection.execute(_LAPSED, query)).scalars())
    return sum([await _end(services, conversation, now) for conversation in lapsed])


async def _end(services: Services, conversation_id: int, now: datetime) -> bool:
    """End it, unless something happened to the conversation since it was looked at."""
    async with services.engine.connect() as connection:
        state = await load(connection, conversation_id, take_over=False)
    endpoint = services.endpoints[state.endpoint]
    if not session_over(state, endpoint, now):
        return False
    draft = Draft(state, endpoint, services.ids, now)
    draft.end_session("expired")
    if endpoint.encrypt:
        seal_changes(draft.changes)
    try:
        async with owned(services.engine, state) as holding:
            row = await holding.fetchrow(_STILL, state.id)
            if row is None or not row["free"]:
                raise OwnershipLost
            await write(holding, state, draft.changes, [])
    except OwnershipLost:
        return False
    return True
