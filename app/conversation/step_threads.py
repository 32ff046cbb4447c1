"""Threads for plain steps, and others for plain transformers.

Each endpoint has its own: what hangs takes no other endpoint's with it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class StepThreads:
    """The pools of all endpoints, `size` threads each, for a `kind` of functions. Used in one event loop."""

    def __init__(self, size: int, kind: str = "step") -> None:
        self._size = size
        self._kind = kind
        self._pools: dict[str, EndpointThreads] = {}

    def of(self, endpoint: str) -> EndpointThreads:
        """The endpoint's own; its threads are started as they are needed."""
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = EndpointThreads(self._size, endpoint, self._kind)
        return pool

    def stuck(self) -> dict[str, int]:
        """Threads in which a step hangs that nobody waits for any more, by endpoint where there are any."""
        return {name: stuck for name, pool in self._pools.items() if (stuck := pool.stuck)}

    def shutdown(self) -> None:
        """Begin nothing more. What runs is not waited for."""
        for pool in self._pools.values():
            pool.shutdown()


class EndpointThreads:
    """The threads of one endpoint's steps."""

    def __init__(self, size: int, endpoint: str = "", kind: str = "step") -> None:
        self._size = size
        self._endpoint = endpoint
        self._kind = kind
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=f"{kind} {endpoint}".rstrip())
        self._left: set[Future[Any]] = set()

    def begin(self, function: Callable[[], Any]) -> RunningStep:
        """Call it in a thread, as soon as one is free, in the caller's context."""
        context = contextvars.copy_context()
        return RunningStep(self, self._pool.submit(context.run, _guarded, function))

    def leave(self, call: Future[Any]) -> None:
        """Nobody waits for it any more: it is not begun, or its thread is counted until it ends."""
        if call.cancel() or call.done():
            return
        self._left.add(call)
        stuck = self.stuck
        log.warning(f"{self._kind}_stuck", endpoint=self._endpoint, threads=stuck, of=self._size)
        if self.all_stuck:
            log.error(f"{self._kind}s_stuck", endpoint=self._endpoint, threads=stuck)

    @property
    def stuck(self) -> int:
        """Threads with a step that nobody waits for any more."""
        self._left = {call for call in self._left if not call.done()}
        return len(self._left)

    @property
    def all_stuck(self) -> bool:
        """Whether waiting for a thread is in vain."""
        return self.stuck >= self._size

    def shutdown(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class RunningStep:
    """One call in a thread, which can be waited for again and again."""

    def __init__(self, threads: EndpointThreads, call: Future[Any]) -> None:
        self._threads = threads
        self._call = call
        self._future = asyncio.wrap_future(call)

    async def result(self) -> Any:
        """What it gives, or raises. To be cancelled without harm: the thread goes on."""
        return await asyncio.shield(self._future)

    def leave(self) -> None:
        """Nobody waits for it any more."""
        self._threads.leave(self._call)
        if not self._future.cancel() and not self._future.cancelled():
            self._future.exception()  # looked at, or asyncio would complain


def _guarded(function: Callable[[], Any]) -> Any:
    """A StopIteration can't travel through a future, and a CancelledError means another thing there."""
    try:
        return function()
    except (StopIteration, asyncio.CancelledError) as error:
        raise RuntimeError(f"it raised {type(error).__name__}") from error
