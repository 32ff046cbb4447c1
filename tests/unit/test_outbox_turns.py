"""Who sends what: a delivery that its taker waits to send is no dead owner's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from app.conversation.outbox import Outbox
from app.conversation.sending import Head, Reading, Sending


def taken(number: int) -> Sending:
    now = datetime.now(UTC)
    return Sending(number, number, "message", {}, now, now)


class Written(Outbox):
    """Writes down what it would do."""

    def __init__(self) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing)
        self.done: list[str] = []
        self.first = taken(1)
        self.sent = asyncio.Event()
        self._left: list[Head] = [self.first]

    async def _take(self) -> Head:
        self.done.append("look")
        return self._left.pop() if self._left else None

    async def _work(self, head: Sending | Reading) -> Head:
        self.done.append(f"send {head.number}")
        if head is self.first:
            await self.sent.wait()
        return None


async def test_a_look_that_was_asked_for_is_left_to_who_has_taken_something_meanwhile() -> None:
    outbox = Written()
    first = asyncio.create_task(outbox.run())
    await asyncio.sleep(0)
    await outbox.run()
    second = asyncio.create_task(outbox.run(taken(2)))
    await asyncio.sleep(0)
    outbox.sent.set()
    await asyncio.gather(first, second)
    assert outbox.done == ["look", "send 1", "send 2", "look"]
