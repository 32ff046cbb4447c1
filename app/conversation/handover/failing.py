"""8x8 does not take what a handover asked for, once and for all: what follows from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversation.handover.watching import WATCH
from app.conversation.state import ConversationState, TimerState
from app.database.tables import metadata

_WITHHOLD = text(
    """
    UPDATE delivery SET status = 'withheld', ended_at = now(), next_attempt_at = NULL,
        reason = 'the handover failed'
    WHERE conversation_id = :id AND status = 'waiting'
        AND CAST(content->>'handover' AS bigint) = :handover
    """
)

_NOT_BACK = text(
    """
    UPDATE handover SET signals = jsonb_set(signals, '{-1,back}', 'false')
    WHERE id = :handover AND signals->-1->>'kind' = 'ended'
    """
)

_TIMER = insert(metadata.tables["timer"])


async def was_refused(
    connection: AsyncConnection,
    timer_id: int,
    state: ConversationState,
    kind: str,
    content: Mapping[str, Any],
    now: datetime,
) -> None:
    """A delivery is dead: the conversation's next turn hears of it where a handover hangs on it."""
    handover = content.get("handover")
    if kind == "assignment" and state.handover is not None and state.handover.id == handover:
        await connection.execute(_WITHHOLD, {"id": state.id, "handover": handover})
        if state.handover.machine.open:
            await _due(connection, timer_id, state, "handover_failed", now)
    elif kind == "return":
        await connection.execute(_NOT_BACK, {"handover": handover})
        if state.ended_handover is not None and state.ended_handover.id == handover:
            state.ended_handover = replace(state.ended_handover, taken_back=False)
            await _due(connection, timer_id, state, WATCH, now, position=0)


async def _due(
    connection: AsyncConnection,
    timer_id: int,
    state: ConversationState,
    kind: str,
    now: datetime,
    position: int | None = None,
) -> None:
    """A timer that is due at once; of each kind one is enough."""
    if state.timer(kind) is not None:
        return
    timer = TimerState(timer_id, kind, now, None, position)
    await connection.execute(
        _TIMER,
        {
            "id": timer.id,
            "conversation_id": state.id,
            "kind": kind,
            "position": position,
            "due_at": timer.due_at,
        },
    )
    state.timers.append(timer)
