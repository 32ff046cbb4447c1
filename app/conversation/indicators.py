"""What shows a user that the bot is at work: typing, thinking, read receipts.

Best effort, off the reply path: each is a request of its own beside everything else, tried once and given
up soon. None is kept, none fails anything; when 8x8 is slow, further ones are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from app.conversation.journal import THINKING
from app.conversation.pauses import Pauses
from app.endpoints import Endpoint
from app.gateway.client import GatewayClient
from app.gateway.outcome import Outcome, Sent

log = structlog.get_logger(__name__)

#: Seconds after which a turn shows that the bot is typing, and shows it again.
TYPING_AFTER = 1.0
TYPING_AGAIN = 5.0
#: Seconds that a request may take, and how many there are at a time.
TIMEOUT = 3.0
AT_ONCE = 16

Request = Callable[[], Awaitable[Outcome]]


class Indicators:
    """The indicators of one process."""

    def __init__(self, gateway: GatewayClient, pauses: Pauses) -> None:
        self._gateway = gateway
        self._pauses = pauses
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def typing(self, endpoint: Endpoint, conversation: str) -> Iterator[None]:
        """Around a turn: once it takes longer than a second, the bot is seen typing until it is over."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def show() -> None:
            nonlocal timer
            self._show(
                "typing", endpoint, lambda: self._gateway.typing(endpoint, conversation, timeout=TIMEOUT)
            )
            timer = loop.call_later(TYPING_AGAIN, show)

        timer = loop.call_later(TYPING_AFTER, show)
        try:
            yield
        finally:
            timer.cancel()

    def thinking(
        self, endpoint: Endpoint, conversation: str, seconds: int, *, after: asyncio.Task[None] | None
    ) -> None:
        """The bot is seen thinking for so long at most, once what it said before has been sent."""

        async def request() -> Outcome:
            if after is not None:
                await asyncio.wait([after])
            return await self._gateway.thinking(endpoint, conversation, seconds=seconds, timeout=TIMEOUT)

        self._show(THINKING, endpoint, request)

    def read(self, endpoint: Endpoint, conversation: str, read_at: datetime) -> None:
        """Everything up to `read_at` is seen to be read, where the endpoint wants that."""
        if endpoint.read_receipts:
            self._show(
                "read",
                endpoint,
                lambda: self._gateway.read_receipt(endpoint, conversation, read_at, timeout=TIMEOUT),
            )

    def _show(self, kind: str, endpoint: Endpoint, request: Request) -> None:
        if len(self._tasks) >= AT_ONCE or self._pauses.paused(endpoint.name):
            return
        task = asyncio.get_running_loop().create_task(_try(kind, endpoint, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _try(kind: str, endpoint: Endpoint, request: Request) -> None:
    """One request; what comes of it is of no consequence but for whoever looks for it in the log."""
    try:
        outcome = await request()
    except Exception as error:
        log.info("indicator_failed", kind=kind, endpoint=endpoint.name, error=type(error).__name__)
        return
    if not isinstance(outcome, Sent):
        log.info("indicator_failed", kind=kind, endpoint=endpoint.name, outcome=type(outcome).__name__)
