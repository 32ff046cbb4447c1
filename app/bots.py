"""Finding a bot by its `module:function`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError

BotFunction = Callable[[Any], Coroutine[Any, Any, Any]]


def add_bot_folders(endpoints_file: Path) -> None:
    """Let bots be imported from the folder of endpoints.yaml and the current one, after what is installed."""
    for folder in (endpoints_file.expanduser().absolute().parent, Path.cwd()):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def load_bot(path: str) -> BotFunction:
    """The bot at `module:function`: an `async def` that can be called with a Chat alone.

    Raises ConfigurationError that says what is wrong; whatever the module raised is its cause.
    """
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ConfigurationError(f"there is no module {error.name!r}") from error
        raise ConfigurationError(f"{module_name} needs a module {error.name!r} that isn't there") from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{module_name} can't be imported: {_where(error)}") from error
    function = getattr(module, name, None)
    if function is None:
        raise ConfigurationError(f"{module_name} has no {name!r}")
    if not callable(function):
        raise ConfigurationError(f"{path} is not a function")
    if inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{path} yields; a bot only awaits")
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{path} must be an `async def`")
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise ConfigurationError(f"{path} must take one argument, the chat") from None
    bot: BotFunction = function
    return bot


def _where(error: BaseException) -> str:
    """Type and place of an error, without its text, which may hold anything."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError in {Path(error.filename or '?').name}, line {error.lineno}: {error.msg}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"
