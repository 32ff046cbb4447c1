"""Users who want a person, and the agents who help them: handovers in the middle of it all."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from app.sandbox import calls
from app.sandbox.client import ControlError
from tests.faults.stage import DESK, Stage

#: Their conversations' names begin so.
NAME = "desk-"
#: Seconds between two looks into the queue, for which an agent writes before leaving, between two wishes.
LOOK, HELPS, REST = 0.5, 1.0, (0.5, 2.0)


def of_desk(talk: str) -> bool:
    """Whether it is a conversation of these users."""
    return talk.startswith(NAME)


def helped_with(number: str) -> str:
    """What the agent says to the user who wrote this."""
    return f"About {number}"


@dataclass
class Desk:
    """Conversations in which each message of the user is a wish for a person; one wish at a time."""

    stage: Stage
    rng: random.Random
    patience: float
    """Seconds after which a user no longer waits for the bot to be back."""
    talks: list[str] = field(default_factory=list)
    written: int = 0
    helped: list[str] = field(default_factory=list)
    """Wishes that an agent wrote about."""

    async def begin(self, number: int) -> None:
        """Begin so many conversations."""
        for _ in range(number):
            talk = f"{NAME}{len(self.talks) + 1}"
            view = await self.stage.sandbox(calls.start(tenant=DESK, id=talk, user={"userId": f"of {talk}"}))
            self.talks.append(view.id)

    async def work(self, until: float) -> None:
        """Wish and help until that time (monotonic seconds), and until the bot has each conversation back."""
        async with asyncio.TaskGroup() as everybody:
            agents = everybody.create_task(self._agents())
            async with asyncio.TaskGroup() as users:
                for talk in self.talks:
                    users.create_task(self._user(talk, until))
            agents.cancel()

    async def _user(self, talk: str, until: float) -> None:
        while time.monotonic() < until:
            self.written += 1
            wish = f"w{self.written}"
            await self.stage.sandbox(calls.say(talk, wish))
            deadline = max(until, time.monotonic()) + self.patience
            while not await self._is_back(talk, wish):
                if time.monotonic() > deadline:
                    return  # the judge sees that there is no reply
                await asyncio.sleep(LOOK)
            await asyncio.sleep(self.rng.uniform(*REST))

    async def _is_back(self, talk: str, wish: str) -> bool:
        found = (await self.stage.sandbox(calls.messages(talk, author="bot"))).messages
        return any((message.text or "").startswith(f"{wish} ") for message in found)

    async def _agents(self) -> None:
        async with asyncio.TaskGroup() as agents:
            helping: dict[str, asyncio.Task[None]] = {}
            while True:
                for queue in (await self.stage.sandbox(calls.queues())).queues:
                    for talk in queue.waiting:
                        if of_desk(talk) and (talk not in helping or helping[talk].done()):
                            helping[talk] = agents.create_task(self._help(talk))
                await asyncio.sleep(LOOK)

    async def _help(self, talk: str) -> None:
        found = (await self.stage.sandbox(calls.messages(talk, author="user"))).messages
        wish = found[-1].text or ""
        try:
            await self.stage.sandbox(calls.accept(talk, "agent-1"))
        except ControlError:
            return  # it is not in the queue any more
        await self.stage.sandbox(calls.agent_says(talk, helped_with(wish)))
        self.helped.append(wish)
        await asyncio.sleep(HELPS)
        await self.stage.sandbox(calls.agent_leaves(talk))
