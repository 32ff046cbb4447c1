"""Where in the bot's own code something happened: `flows/bots/orders.py:12`.

The bot's own code is whatever lies in the same top package (or module) as the bot's function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

#: Code that runs in between but is not the bot's.
_OURS = "app.conversation."
_UNKNOWN = "an unknown place"

Place = tuple[FrameType, int]


def raised_at(error: BaseException, bot: Callable[..., Any]) -> str:
    """The bot's line that an error came through last."""
    return _last(_traceback(error.__traceback__), bot)[1]


def raised_in(error: BaseException) -> str:
    """The module and function that raised an error, such as asyncio.tasks.sleep."""
    frames = [frame for frame, _ in _traceback(error.__traceback__)]
    return _function(frames[-1]) if frames else ""


def is_ours(error: BaseException) -> bool:
    """Whether Parley made the error, rather than the bot or a library of its."""
    raised = raised_in(error)
    return not raised or raised.startswith("app.")


def awaited(coroutine: Any, bot: Callable[..., Any]) -> tuple[str | None, str]:
    """What a suspended coroutine waits in (None: in the bot itself) and the bot's line that does."""
    return _last(_awaiting(coroutine), bot)


def called(frame: FrameType | None, bot: Callable[..., Any]) -> tuple[str | None, str]:
    """What runs (None: the bot itself) and the bot's line that called it."""
    frames: list[Place] = []
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return _last(reversed(frames), bot)


def _last(frames: Iterable[Place], bot: Callable[..., Any]) -> tuple[str | None, str]:
    """The innermost of the bot's lines, and the function that it called."""
    package = _package(getattr(bot, "__module__", None) or type(bot).__module__)
    place, what = _of_function(bot), None
    for frame, line in frames:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_OURS):
            continue
        if _package(module) == package:
            place, what = f"{_path(frame.f_code, module)}:{line}", None
        elif what is None:
            what = _function(frame)
    return what, place


def _of_function(bot: Callable[..., Any]) -> str:
    code = getattr(bot, "__code__", None)
    if code is None:
        return _UNKNOWN
    return f"{_path(code, bot.__module__)}:{code.co_firstlineno}"


def _package(module: str) -> str:
    return module.partition(".")[0]


def _path(code: CodeType, module: str) -> str:
    """The file's path from its top package on: says enough, and nothing about the machine."""
    parts = code.co_filename.replace("\\", "/").split("/")
    depth = module.count(".") + 1 + (parts[-1] == "__init__.py")
    return "/".join(parts[-depth:])


def _function(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


def _traceback(traceback: TracebackType | None) -> Iterator[Place]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _awaiting(thing: Any) -> Iterator[Place]:
    while thing is not None:
        frame = _first(thing, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            yield frame, frame.f_lineno
        thing = _first(thing, "cr_await", "gi_yieldfrom", "ag_await")


def _first(thing: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(thing, name, None)) is not None), None)
