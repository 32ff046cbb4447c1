"""What the conversation layer needs from the process it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.draft import IdPools
from app.conversation.driver import Bot
from app.conversation.indicators import Indicators
from app.conversation.modes import Modes
from app.conversation.pauses import Pauses
from app.endpoints import Endpoint
from app.gateway.client import GatewayClient
from app.stats import Stats

Work = Callable[[], Awaitable[None]]


class Host(Protocol):
    """Runs pieces of work so that ops can watch them: as Prefect task runs, or plainly."""

    async def step(self, name: str, work: Work) -> None:
        """Run a bot's step."""


class PlainHost:
    """Runs work as it is."""

    async def step(self, name: str, work: Work) -> None:
        """Run a bot's step."""
        await work()


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
    executor: Executor
    pauses: Pauses
    modes: Modes = field(default_factory=Modes)
    stats: Stats = field(default_factory=Stats)
    now: Callable[[], datetime] = utc_now
    trial: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a turn of a conversation whose owner died: suspects run one at a time."""
    indicators: Indicators = field(init=False)

    def __post_init__(self) -> None:
        self.indicators = Indicators(self.gateway, self.pauses)
