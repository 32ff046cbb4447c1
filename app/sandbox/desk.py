"""The agents' part: who waits, accept, write, transfer, leave."""

import asyncio
from typing import Literal

from app.sandbox import events
from app.sandbox.gateway import Gateway
from app.sandbox.model import TYPING_SECONDS, Conversation, Message, NewMessage, new_id
from app.sandbox.store import Store

Order = Literal["left_first", "transfer_first"]
"""Whether an agent's `left` comes before or after TRANSFER: 8x8 doesn't say which."""


class NotPossible(Exception):
    """This can't be done in the conversation's state; the text says why."""


class Desk:
    """What a human agent does, with the events that 8x8 sends about it."""

    def __init__(self, gateway: Gateway, store: Store) -> None:
        self._gateway = gateway
        self._store = store

    def accept(self, conversation: Conversation, agent: str, *, joined_event: bool = True) -> None:
        """An agent takes the conversation out of its queue. Raises NotPossible when it is in none."""
        if conversation.queue is None:
            raise NotPossible("the conversation waits in no queue")
        conversation.queue = conversation.queued_at = None
        conversation.agent = agent
        conversation.assignment = {"type": "agent", "id": agent, "resourceId": f"resource-{new_id()}"}
        if joined_event:
            self._gateway.joined(conversation, "agent", agent)
        self._gateway.announce(conversation)

    def say(self, conversation: Conversation, text: str) -> Message:
        """The agent writes. Raises NotPossible without an agent."""
        agent = self._agent(conversation)
        return self._gateway.post(conversation, NewMessage("agent", text), agent)

    def typing(self, conversation: Conversation, on: bool) -> str:
        """The agent begins or stops typing. Returns the event id."""
        agent = self._agent(conversation)
        conversation.type_for("agent", TYPING_SECONDS if on else 0.0)
        users: list[dict[str, object]] = [{"id": agent, "type": "agent"}] if on else []
        return self._gateway.tell(conversation, "ACTIVITY", events.typing(users))

    async def transfer(
        self, conversation: Conversation, queue: str, order: Order, gap: float, *, left_event: bool = True
    ) -> None:
        """The agent moves the conversation to another queue; `gap` seconds between the events.

        Raises NotPossible without an agent or with an unknown queue.
        """
        agent = self._agent(conversation)
        if queue not in self._store.tenants[conversation.tenant].queues:
            raise NotPossible(f"there is no queue {queue}")
        conversation.agent = None
        steps = ["left", "transfer"] if order == "left_first" else ["transfer", "left"]
        for step in steps:
            if step == "transfer":
                self._gateway.tell(conversation, "TRANSFER")
            elif left_event:
                self._gateway.left(conversation, "agent", agent)
            if gap:
                await asyncio.sleep(gap)
        self._gateway.assign(conversation, {"type": "queue", "id": queue})

    def leave(self, conversation: Conversation) -> None:
        """The agent is done: back to the bot where that was asked for, else the interaction ends."""
        agent = self._agent(conversation)
        conversation.agent = None
        self._gateway.left(conversation, "agent", agent)
        after = conversation.post_agent_assignment
        if after is None:
            self._gateway.end(conversation)
            return
        conversation.post_agent_assignment = None
        conversation.webhook = str(after["id"])
        script = self._store.tenants[conversation.tenant].script
        self._gateway.assign(conversation, {"type": "script", "id": script})

    def _agent(self, conversation: Conversation) -> str:
        if conversation.agent is None:
            raise NotPossible("no agent has the conversation")
        return conversation.agent
