"""A worker in the test's own event loop, over a scene, and many conversations that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from app.settings import Settings
from app.worker.runs import NoRuns, Runs
from app.worker.worker import Worker
from tests.integration.scene import Scene

_CONVERSATIONS = text(
    """
    INSERT INTO conversation (endpoint, external_id, due_at)
    SELECT :endpoint, 'many-' || n, now() FROM generate_series(1, :many) n
    """
)
_MESSAGES = text(
    """
    INSERT INTO event (endpoint, event_id, conversation_id, type, body, body_sha256, payload, at)
    SELECT endpoint, 'many-' || id, id, 'MESSAGE', '{}', '', jsonb_build_object('eventType', 'MESSAGE',
        'conversationId', external_id, 'data', jsonb_build_object('text', 'hello', 'isEcho', false,
            'sender', jsonb_build_object('id', external_id, 'type', 'user'))), now()
    FROM conversation WHERE external_id LIKE 'many-%' AND endpoint = :endpoint
    """
)


async def many_say_hello(play: Scene, many: int, *, endpoint: str = "support") -> None:
    """So many users write; nobody is notified."""
    async with play.engine.begin() as connection:
        await connection.execute(_CONVERSATIONS, {"endpoint": endpoint, "many": many})
        await connection.execute(_MESSAGES, {"endpoint": endpoint})


@asynccontextmanager
async def working(
    play: Scene, url: str, runs: Runs | None = None, /, **settings: Any
) -> AsyncIterator[Worker]:
    """A worker that works; it is stopped at the end."""
    worker = Worker(Settings(**settings), play.services, runs or NoRuns(), url)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


async def becomes(look: Callable[[], Awaitable[Any]], wanted: Any, *, within: float = 20.0) -> None:
    """Wait until it looks as wanted, with a deadline."""
    deadline = asyncio.get_running_loop().time() + within
    while (found := await look()) != wanted:
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{found!r} did not become {wanted!r} in time")
        await asyncio.sleep(0.05)
