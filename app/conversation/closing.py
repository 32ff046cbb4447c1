"""Closing a bot's coroutine: never awaits, never raises what the bot raises."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from app.conversation import where
from app.conversation.chat import ChatClosed

log = structlog.get_logger(__name__)

#: A closed coroutine is dropped within its own call, so that it is freed while nothing else runs.
_Holder = list[Coroutine[Any, Any, Any]]


def close_coroutine(holder: _Holder, bot: Callable[..., Any]) -> None:
    """Close the coroutine in `holder` and empty it. Its Chat must be closed already: a chat call raises.

    What the bot raises on the way is logged: the dialog's state is settled already and stays as it is.
    """
    try:
        holder[0].close()
    except ChatClosed:
        pass
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        log.warning("bot_resists_closing", error=type(error).__name__, where=where.raised_at(error, bot))
    if getattr(holder[0], "cr_frame", None) is not None:
        _drop(holder)
    holder.clear()


def _drop(holder: _Holder) -> None:
    """Free a coroutine that ignored GeneratorExit. Python would report on stderr what has been logged."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        holder.clear()
    finally:
        sys.unraisablehook = hook
