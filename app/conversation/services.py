"""What the conversation layer needs from the process it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.driver import Bot
from app.conversation.ids import IdPools
from app.conversation.indicators import Indicators
from app.conversation.modes import Modes
from app.conversation.pauses import Pauses
from app.conversation.step_threads import StepThreads
from app.conversation.trials import Trials
from app.endpoints import Endpoint
from app.files.service import FileService
from app.gateway.client import GatewayClient
from app.stats import Stats

Work = Callable[[], Awaitable[None]]
#: True when there is nothing more to try.
Attempt = Callable[[], Awaitable[bool]]

#: How often a file is tried, and the seconds between two tries.
FETCHES = 4
FETCH_PAUSES = (0.3, 1.0, 3.0)


class Host(Protocol):
    """Runs pieces of work so that ops can watch them: as Prefect task runs, or plainly."""

    async def step(self, name: str, work: Work) -> None:
        """Run a bot's step."""

    async def fetch(self, attempt: Attempt) -> None:
        """Try to have a file, up to FETCHES times."""


class PlainHost:
    """Runs work as it is."""

    async def step(self, name: str, work: Work) -> None:
        """Run a bot's step."""
        await work()

    async def fetch(self, attempt: Attempt) -> None:
        """Try to have a file, up to FETCHES times."""
        for pause in FETCH_PAUSES:
            if await attempt():
                return
            await asyncio.sleep(pause)
        await attempt()


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Services:
    """Shared by all conversations of a worker."""

    engine: AsyncEngine
    ids: IdPools
    gateway: GatewayClient
    endpoints: Mapping[str, Endpoint]
    bots: Callable[[str], Bot]
    pauses: Pauses
    files: FileService | None = None
    """Without it files are not fetched, and bots can read none."""
    modes: Modes = field(default_factory=Modes)
    threads: StepThreads = field(default_factory=lambda: StepThreads(16))
    stats: Stats = field(default_factory=Stats)
    now: Callable[[], datetime] = utc_now
    trials: Trials = field(default_factory=Trials)
    """Turns of conversations whose owner died: these run one at a time."""
    indicators: Indicators = field(init=False)

    def __post_init__(self) -> None:
        self.indicators = Indicators(self.gateway, self.pauses)
