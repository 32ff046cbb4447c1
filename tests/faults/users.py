"""A steady load: users who write one numbered message after the other, and what 8x8 saw of it."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import httpx

from app.sandbox import calls
from app.sandbox.client import ControlError
from app.sandbox.schema import MessageView, WebhookView
from tests.faults.stage import ENDPOINTS, Stage

#: Every so many messages a user asks for a step, types, or a new conversation begins.
STEP_EVERY, TYPE_EVERY, NEW_EVERY = 4, 6, 40


@dataclass
class Users:
    """Conversations over both endpoints, a message every 1/`rate` seconds."""

    stage: Stage
    rng: random.Random
    rate: float
    talks: list[str] = field(default_factory=list)
    written: int = 0

    async def begin(self, number: int) -> None:
        """Begin so many conversations."""
        for _ in range(number):
            await self._new()

    async def write(self, until: float) -> None:
        """Write until that time (monotonic seconds), whatever is answered.

        Raises what the sandbox refuses, as a group.
        """
        begun, first = time.monotonic(), self.written
        async with asyncio.TaskGroup() as under_way:
            while time.monotonic() < until:
                due = begun + (self.written - first) / self.rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
                self.written += 1
                if self.written % NEW_EVERY == 0:
                    await self._new()
                under_way.create_task(self._say(self.rng.choice(self.talks), self.written))

    async def _new(self) -> None:
        tenant = f"faults-{ENDPOINTS[len(self.talks) % len(ENDPOINTS)]}"
        view = await self.stage.sandbox(
            calls.start(tenant=tenant, id=f"talk-{len(self.talks) + 1}", user={"userId": f"u{self.written}"})
        )
        self.talks.append(view.id)

    async def _say(self, talk: str, number: int) -> None:
        if number % TYPE_EVERY == 0:
            await self.stage.sandbox(calls.user_typing(talk))
        text = f"{number} step" if number % STEP_EVERY == 0 else f"{number}"
        await self.stage.sandbox(calls.say(talk, text))


@dataclass
class Watch:
    """Collects the sandbox's webhook records while they last (it keeps the newest only)."""

    stage: Stage
    webhooks: dict[str, WebhookView] = field(default_factory=dict)
    _since: int = 0

    async def run(self) -> None:
        """Collect until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(1.5)

    async def look(self) -> None:
        """Collect what is new or was still on its way."""
        found = (await self.stage.sandbox(calls.webhooks(since=self._since, limit=2000))).webhooks
        for each in found:
            self.webhooks[each.event_id] = each
        pending = [each.seq for each in self.webhooks.values() if each.outcome == "pending"]
        newest = max((each.seq for each in self.webhooks.values()), default=0)
        self._since = min(pending, default=newest + 1) - 1

    async def settle(self, within: float) -> bool:
        """Wait until nothing is on its way any more, and see how each ended."""
        deadline = time.monotonic() + within
        settled = False
        while not settled and time.monotonic() < deadline:
            settled = (await self.stage.sandbox(calls.settled(5.0))).settled
            await self.look()
        for event_id, each in list(self.webhooks.items()):
            if each.outcome == "pending":
                try:
                    self.webhooks[event_id] = await self.stage.sandbox(calls.webhook(event_id))
                except (ControlError, httpx.HTTPError):
                    continue  # no longer in the log; whether it was stored is seen in the database
        return settled

    async def messages(self) -> list[MessageView]:
        """All messages of all conversations, in the order they arrived."""
        return (await self.stage.sandbox(calls.all_messages())).messages
