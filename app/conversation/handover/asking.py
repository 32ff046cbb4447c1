"""What has to be asked before a handover's timer can be acted on. No transaction is open meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from app.conversation.handover.watching import WATCH, looks
from app.conversation.services import Services
from app.conversation.state import ConversationState, TimerState
from app.errors import GatewayError

_ASSIGNMENT = text(
    """
    SELECT status, reason FROM delivery
    WHERE conversation_id = :id AND kind = 'assignment' AND CAST(content->>'handover' AS bigint) = :handover
    ORDER BY place DESC LIMIT 1
    """
)


#: Timers that something is asked for.
_ASKED = ("handover_left", "handover_unheard", "handover_failed", WATCH)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known now.

    `assigned_to`: queue, agent (whose id is `agent`), script, None (nobody) or "" (not readable). `sent`: 8x8
    took the assignment. `failure`: why it did not.
    """

    assigned_to: str | None = None
    agent: str | None = None
    sent: bool = False
    failure: str | None = None


async def ask(services: Services, state: ConversationState, timer: TimerState) -> Told:
    """Who has the conversation now, and what became of its assignment: whatever this timer is about."""
    handover = state.handover
    if timer.kind not in _ASKED or (handover is None and timer.kind != WATCH):
        return Told()
    sent, failure = False, None
    if handover is not None and timer.kind in ("handover_unheard", "handover_failed"):
        async with services.engine.connect() as connection:
            values = {"id": state.id, "handover": handover.id}
            row = (await connection.execute(_ASSIGNMENT, values)).one_or_none()
        if row is not None:
            sent = row.status == "sent"
            failure = row.reason if row.status == "dead" else None
    if (
        timer.kind == "handover_failed"
        or (timer.kind == "handover_unheard" and not sent)
        or (timer.kind == WATCH and not looks(state, timer, services.now()))
    ):
        return Told(sent=sent, failure=failure)
    try:
        shown = await services.gateway.conversation(services.endpoints[state.endpoint], state.external_id)
    except GatewayError:
        return Told(assigned_to="", sent=sent)
    assignment = shown.get("assignment")
    kind, agent = None, None
    if isinstance(assignment, dict):
        kind, agent = assignment.get("type"), assignment.get("id")
    if kind not in ("queue", "agent", "script"):
        return Told(sent=sent)
    return Told(kind, str(agent) if kind == "agent" and agent is not None else None, sent)
