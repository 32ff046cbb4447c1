"""What was to be sent for a handover and comes too late: it is over, or 8x8 has done it already.

An assignment whose answer was lost is sent again. By then an agent may have the conversation: assigned to its
queue once more it would be taken from the agent, or lose its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.conversation.state import ConversationState, HandoverState


def obsolete(state: ConversationState, kind: str, content: Mapping[str, Any]) -> str | None:
    """Why a delivery that waited must not be sent any more; None where it may be.

    Taking the conversation back (`return`) is meant for a handover that is over.
    """
    number, handover = content.get("handover"), state.handover
    if number is None or kind == "return":
        return None
    if handover is None or handover.id != number or not handover.machine.open:
        return "the handover is over"
    if kind == "assignment" and _taken(state, handover):
        return "8x8 has the handover already"
    return None


def shown_taken(shown: Mapping[str, Any], queue: str) -> bool:
    """Whether 8x8 shows a conversation in that queue, or with an agent.

    Asked before an assignment is sent again: its answer may have been lost, and its events be late.
    """
    now = shown.get("assignment")
    if not isinstance(now, dict):
        return False
    return now.get("type") == "agent" or _is_queue(now, queue)


def _taken(state: ConversationState, handover: HandoverState) -> bool:
    """Whether 8x8 told that the assignment was taken: of that queue, or of an agent."""
    machine = handover.machine
    if machine.active_at is not None:
        return True
    if machine.status != "queued":
        return False
    told = state.assignment or {}
    return _is_queue(told, handover.queue) or any(
        signal.kind == "queued" and signal.value in (None, handover.queue)
        for signal in handover.signals
        if signal.at >= handover.events_since
    )


def _is_queue(assignment: Mapping[str, Any], queue: str | None) -> bool:
    return assignment.get("type") == "queue" and str(assignment.get("id")) == queue
