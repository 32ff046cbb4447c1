"""Calling what bot authors wrote: steps and transformers, sync or async.

They may raise what would end a task, a loop or a process that is not theirs: it is an error of theirs all the
same. Who calls them catches `ABORTS`, and asyncio.CancelledError unless `cancelled_from_outside`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

#: What is caught of them.
ABORTS = (Exception, SystemExit)


def is_async(function: Any) -> bool:
    """Whether it is called in the loop; else it is called in a thread."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - asks for the method, not whether there is one
    )


def cancelled_from_outside() -> bool:
    """Whether somebody wants this task to end; else a CancelledError is the author's own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
