"""Calling a transformer: sync (in a thread) or async, within its time."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from app.authored import ABORTS, cancelled_from_outside, is_async
from app.endpoints import Endpoint
from app.errors import ConfigurationError, ParleyError
from app.functions import load_function
from app.transformers.threads import AllTaken, in_thread

log = structlog.get_logger(__name__)

#: Makes the incident of an endpoint, by its name, whose transformers find no thread any more.
Report = Callable[[str], Awaitable[object]]


class TransformerFailed(ParleyError):
    """A transformer raised, or took too long."""


async def call_transformer(endpoint: Endpoint, kind: str, path: str, argument: Any, *, report: Report) -> Any:
    """What it gives back. Raises TransformerFailed; what it raised itself is told by its type only."""
    try:
        async with asyncio.timeout(endpoint.transformers.timeout):
            call = functools.partial(load_function(path), argument)
            given = await (call() if is_async(call) else in_thread(endpoint.name, call))
            return await given if inspect.isawaitable(given) else given
    except AllTaken:
        problem = "every thread is held by a call that does not return"
        await report(endpoint.name)
    except ConfigurationError as error:
        problem = str(error)
    except TimeoutError:
        problem = "TimeoutError"
    except asyncio.CancelledError:
        if cancelled_from_outside():
            raise
        problem = "CancelledError"
    except ABORTS as error:
        problem = type(error).__name__
    note_failure(endpoint, kind, path, problem)
    raise TransformerFailed(f"The {kind} transformer failed: {problem}")


def note_failure(endpoint: Endpoint, kind: str, path: str, problem: str) -> None:
    """Log that a transformer failed, or gave back what it must not."""
    log.error("transformer_failed", endpoint=endpoint.name, kind=kind, function=path, error=problem)
