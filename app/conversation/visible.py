"""What ops see of deliveries: names, and the assignment of a handover as a piece of work of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.conversation.services import Host
from app.errors import GatewayError
from app.gateway.outcome import Outcome, Sent


class AssignmentNotTaken(GatewayError):
    """8x8 did not take the assignment."""


def name_of(kind: str, content: Mapping[str, Any]) -> str:
    """What a delivery is called where ops look: never by its text."""
    match kind:
        case "assignment":
            return f"handover to {content['assignment'].get('id')}"
        case "return":
            return "taking back"
        case "post_agent":
            return "wish to return to the bot"
        case _:
            return kind


async def visibly(host: Host, name: str, request: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Make a request as a piece of work that the host shows, failed where 8x8 did not take it."""
    outcomes: list[Outcome] = []

    async def work() -> None:
        outcome = await request()
        outcomes.append(outcome)
        if not isinstance(outcome, Sent):
            raise AssignmentNotTaken(outcome.reason)

    try:
        await host.step(name, work)
    except Exception:
        if not outcomes:
            raise
    return outcomes[0]
