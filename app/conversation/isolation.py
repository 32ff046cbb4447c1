"""Keeps a bot apart from the event loop, the context and the hooks of whoever drives it.

A bot is driven by hand, often from inside a worker's running loop. Without care `asyncio.create_task` in a
bot would start a task in that loop, an abandoned async generator would be finished there, and context
variables would leak both ways.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import Any, NoReturn, TypeVar, cast

from app.errors import BotError
from app.sensitive import guard, guarding

T = TypeVar("T")


class ForbiddenLoop:
    """Stands where the running event loop is looked for: whatever is asked of it is refused."""

    def __init__(self, refused: Callable[[str], BotError]) -> None:
        self._refused = refused

    def __getattr__(self, name: str) -> NoReturn:
        raise self._refused(name)


class Isolation:
    """`run(f)` calls `f` in a context of its own and with no event loop in reach.

    `refused` is told when the event loop is used all the same, and returns the error to raise.
    """

    def __init__(self, refused: Callable[[str], BotError]) -> None:
        self._context = Context()
        self._context.run(guard, guarding())  # a bot may log, too
        self._refused = refused
        self._loop = cast(AbstractEventLoop, ForbiddenLoop(refused))

    def run(self, function: Callable[[], T]) -> T:
        """What the function returns."""
        loop = asyncio._get_running_loop()
        hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self._loop)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._finish)
        try:
            return self._context.run(function)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(loop)

    def _finish(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Close an async generator that the bot left before its end, by hand: it can't wait for anything."""
        closing = generator.aclose()
        try:
            closing.send(None)
        except StopIteration:
            return
        self._refused("an async generator that was left before its end, and awaits")
        closing.close()
