"""Telling workers, after the commit, which conversations are due.

NOTIFY inside the transaction would serialise all commits. So it is sent afterwards, on a connection of its
own; what comes within a few milliseconds of another goes together. Should it get lost, the workers' sweep
finds the conversation within a second: a failure here harms nothing but that second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import asyncpg
import structlog

from app.database.engine import DUE_CHANNEL

log = structlog.get_logger()

Connect = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]

#: Bytes in a notification; PostgreSQL takes fewer than 8,000.
LONGEST = 7900
#: Conversations remembered while the database is away; the sweep finds them all anyway.
MOST = 10_000


class Notifier:
    """Sends NOTIFY for conversations: the first at once, what follows within `gather` seconds together."""

    def __init__(
        self,
        connect: Connect,
        *,
        gather: float = 0.003,
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._connect, self._gather, self._count = connect, gather, count
        self._due: dict[int, None] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, conversation: int) -> None:
        """Have the workers told that a conversation is due."""
        if len(self._due) < MOST:
            self._due[conversation] = None
            self._wanted.set()

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Stop; what was gathered is left to the sweep."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._wanted.wait()
                connection = await self._connect()
            except Exception as error:  # whatever it is, the next attempt may do
                self._failed(error)
            else:
                try:
                    await self._send(connection)
                except Exception as error:
                    self._failed(error)
                    pause = 0.1
                finally:
                    connection.terminate()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _send(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Send until the connection fails."""
        statement = f"SELECT pg_notify('{DUE_CHANNEL}', $1)"
        loop = asyncio.get_running_loop()
        last = -self._gather
        while True:
            await self._wanted.wait()
            await asyncio.sleep(last + self._gather - loop.time())
            self._wanted.clear()
            due, self._due = self._due, {}
            last = loop.time()
            for payload in payloads(due):
                await connection.execute(statement, payload, timeout=2)
                self._count("sent")

    def _failed(self, error: Exception) -> None:
        self._count("failed")
        log.warning("notify_failed", error=type(error).__name__)


def payloads(conversations: dict[int, None]) -> Iterator[str]:
    """The ids separated by commas, in texts short enough for a notification."""
    part: list[str] = []
    length = 0
    for conversation in conversations:
        text = str(conversation)
        if length + len(text) + 1 > LONGEST:
            yield ",".join(part)
            part, length = [], 0
        part.append(text)
        length += len(text) + 1
    if part:
        yield ",".join(part)
