"""Running one step: the only part of a bot that touches the world."""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any

from app.authored import ABORTS, cancelled_from_outside, is_async
from app.conversation.jsonvalue import to_json
from app.conversation.needs import StepCall
from app.conversation.step_threads import EndpointThreads, RunningStep
from app.errors import BotError

_LONGEST_MESSAGE = 1000
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


async def run_step(
    call: StepCall,
    *,
    threads: EndpointThreads,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> dict[str, Any]:
    """The content of the step's `result` entry; what the step raises is a result too.

    {"step": position} and one of "value": JSON, "error": {"type", "message"} or "interrupted": true (begun
    before and not to be run twice). Async functions run in this loop, others in `threads`. A failed attempt
    is followed by another after 0.5 s, doubled each time up to 30 s, times 0.5 to 1. A thread that outlives
    its timeout can't be stopped: the next attempt waits for it instead of running the step beside itself.
    """
    if call.begun and not call.retry:
        return {"step": call.position, "interrupted": True}
    running = _Attempts(_with_key(call), threads)
    attempts = call.retries + 1 if call.retry else 1
    try:
        for attempt in range(1, attempts + 1):
            try:
                async with asyncio.timeout(call.timeout):
                    value = await running.attempt()
                return {"step": call.position, **_storable(value, call.name)}
            except asyncio.CancelledError as error:
                if cancelled_from_outside():
                    raise
                problem: BaseException = error
            except ABORTS as error:
                problem = error
            if attempt == attempts:
                return {"step": call.position, "error": _error(problem)}
            await sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1)) * (0.5 + jitter() / 2))
    finally:
        running.leave()
    raise AssertionError("a step has at least one attempt")


class _Attempts:
    """The attempts of one step: at most one of them is in a thread."""

    def __init__(self, function: Callable[[], Any], threads: EndpointThreads) -> None:
        self._function = function
        self._threads = threads
        self._running: RunningStep | None = None

    async def attempt(self) -> Any:
        """Call the function; where the call before still runs in its thread, wait for that."""
        if is_async(self._function):
            return await self._function()
        running = self._running = self._running or self._threads.begin(self._function)
        try:
            value = await running.result()
        except asyncio.CancelledError:
            raise  # out of time: the thread goes on
        except BaseException:
            self._running = None
            raise
        self._running = None
        return await value if inspect.isawaitable(value) else value

    def leave(self) -> None:
        """Don't wait any more."""
        if self._running is not None:
            self._running.leave()


def _storable(value: Any, name: str) -> dict[str, Any]:
    """The step has run: where its result doesn't fit, running it again would not help."""
    try:
        return {"value": to_json(value, f"the result of step {name}")}
    except BotError as error:
        return {"error": _error(error)}


def _with_key(call: StepCall) -> Callable[[], Any]:
    kwargs = call.kwargs
    if "idempotency_key" not in kwargs and _takes_key(call.function):
        kwargs = {**kwargs, "idempotency_key": call.key}
    return functools.partial(call.function, *call.args, **kwargs)


def _takes_key(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
    parameter = parameters.get("idempotency_key")
    return parameter is not None and parameter.kind in (
        parameter.POSITIONAL_OR_KEYWORD,
        parameter.KEYWORD_ONLY,
    )


def _error(error: BaseException) -> dict[str, str]:
    text = str(error).replace("\0", "\ufffd")[:_LONGEST_MESSAGE]
    return {"type": type(error).__name__, "message": text.encode("utf-8", "replace").decode()}
