"""What has to be asked before a handover's timer can be acted on. No transaction is open meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from app.conversation.services import Services
from app.conversation.state import ConversationState, TimerState
from app.errors import GatewayError

_FAILURE = text(
    """
    SELECT reason FROM delivery
    WHERE conversation_id = :id AND kind = 'assignment' AND status = 'dead'
    ORDER BY place DESC LIMIT 1
    """
)


@dataclass(frozen=True, slots=True)
class Told:
    """`assigned_to`: queue, agent, script, None (nobody) or "" (not readable). `failure`: a delivery's."""

    assigned_to: str | None = None
    failure: str | None = None


async def ask_8x8(services: Services, state: ConversationState, timer: TimerState) -> Told:
    """Who has the conversation now; or why its assignment was not taken."""
    if timer.kind == "handover_failed":
        async with services.engine.connect() as connection:
            return Told(failure=(await connection.execute(_FAILURE, {"id": state.id})).scalar_one_or_none())
    if timer.kind != "handover_left":
        return Told()
    try:
        shown = await services.gateway.conversation(services.endpoints[state.endpoint], state.external_id)
    except GatewayError:
        return Told(assigned_to="")
    assignment = shown.get("assignment")
    kind = assignment.get("type") if isinstance(assignment, dict) else None
    return Told(assigned_to=kind if kind in ("queue", "agent", "script") else None)
