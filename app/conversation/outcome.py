"""How a handover ended, as a bot sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.conversation.message import Message


@dataclass(frozen=True, slots=True)
class HandoverOutcome:
    """`status` is completed, cancelled, failed or timed_out; `reason` says more where there is more to say.

    `messages` are those of the user and the agents meanwhile (`author` tells them apart).
    """

    status: str
    reason: str | None = None
    agent_ids: tuple[str, ...] = ()
    waiting_seconds: float | None = None
    handling_seconds: float | None = None
    messages: tuple[Message, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HandoverOutcome:
        """From an `outcome` entry's content; all but `status` may be missing."""
        return cls(
            status=value["status"],
            reason=value.get("reason"),
            agent_ids=tuple(value.get("agent_ids") or ()),
            waiting_seconds=value.get("waiting_seconds"),
            handling_seconds=value.get("handling_seconds"),
            messages=tuple(Message.from_json(message) for message in value.get("messages") or ()),
        )

    def to_json(self) -> dict[str, Any]:
        """The content of an `outcome` entry."""
        return {
            "status": self.status,
            "reason": self.reason,
            "agent_ids": list(self.agent_ids),
            "waiting_seconds": self.waiting_seconds,
            "handling_seconds": self.handling_seconds,
            "messages": [message.to_json() for message in self.messages],
        }
