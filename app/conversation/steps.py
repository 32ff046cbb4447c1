"""Running a bot's steps: each where ops can see it, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from app.conversation.journal import Entry
from app.conversation.needs import StepCall
from app.conversation.services import Host, Services
from app.conversation.step import run_step
from app.sensitive import masked_text


async def run_steps(
    calls: Sequence[StepCall], host: Host, services: Services, endpoint: str
) -> AsyncGenerator[tuple[Entry, bool], None]:
    """Run steps at once; each result's journal entry as it comes, and whether it is the last.

    A step that fails is a result too: nothing is raised but what ends the turn.
    """
    tasks = [asyncio.create_task(_run(call, host, services, endpoint)) for call in calls]
    try:
        for number, finished in enumerate(asyncio.as_completed(tasks), start=1):
            yield await finished, number == len(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(call: StepCall, host: Host, services: Services, endpoint: str) -> Entry:
    result: list[Entry] = []

    async def work() -> None:
        content = await run_step(call, threads=services.threads.of(endpoint))
        result.append(Entry("result", call.name, content, services.now()))

    await host.step(masked_text(call.name), work)
    return result[0]
