"""Calling a transformer: sync (in a thread) or async, within its time."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from concurrent.futures import Executor
from typing import Any

import structlog

from app.endpoints import Endpoint
from app.errors import ConfigurationError, ParleyError
from app.functions import load_function

log = structlog.get_logger(__name__)


class TransformerFailed(ParleyError):
    """A transformer raised, or took too long."""


async def call_transformer(
    endpoint: Endpoint, kind: str, path: str, argument: Any, *, executor: Executor | None = None
) -> Any:
    """What it gives back. Raises TransformerFailed; what it raised itself is told by its type only."""
    try:
        async with asyncio.timeout(endpoint.transformers.timeout):
            function = load_function(path)
            if inspect.iscoroutinefunction(function):
                return await function(argument)
            given = await asyncio.get_running_loop().run_in_executor(
                executor, contextvars.copy_context().run, function, argument
            )
            return await given if inspect.isawaitable(given) else given
    except ConfigurationError as error:
        problem = str(error)
    except TimeoutError:
        problem = "TimeoutError"
    except Exception as error:
        problem = type(error).__name__
    note_failure(endpoint, kind, path, problem)
    raise TransformerFailed(f"The {kind} transformer failed: {problem}")


def note_failure(endpoint: Endpoint, kind: str, path: str, problem: str) -> None:
    """Log that a transformer failed, or gave back what it must not."""
    log.error("transformer_failed", endpoint=endpoint.name, kind=kind, function=path, error=problem)
