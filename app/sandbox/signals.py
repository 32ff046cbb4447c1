"""Waiting for something to happen in the sandbox, without polling."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

REST = "rest:"
"""Key of a REST call that was answered, before its number. Ids of conversations and events hold no colon."""

FAULTS = "faults:"
"""Key: the list of faults, or the signing key, was changed."""

RESET = "reset:"
"""Key: everything was forgotten."""


class Signals:
    """Wakes who waits under a key. Use within one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._followers: list[Callable[[str], None]] = []

    def wake(self, key: str) -> None:
        """Let everyone under this key look again, and tell those who follow all keys."""
        for follower in self._followers:
            follower(key)
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def follow(self, follower: Callable[[str], None]) -> None:
        """Call with every key that is woken. It must return at once."""
        self._followers.append(follower)

    def unfollow(self, follower: Callable[[str], None]) -> None:
        """Call it no more."""
        self._followers.remove(follower)

    async def until(self, key: str, look: Callable[[], T | None], timeout: float) -> T | None:
        """What `look` finds, looking again at each wake; None after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (found := look()) is None:
            remaining = deadline - loop.time()
            if remaining <= 0:
                return None
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.setdefault(key, []).append(future)
            await asyncio.wait([future], timeout=remaining)
            if not future.done():
                self._forget(key, future)
        return found

    def _forget(self, key: str, future: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiting.pop(key, None)
