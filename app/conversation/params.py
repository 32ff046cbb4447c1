"""Checked parameters of what a bot asks for: waits, steps and handovers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from app.conversation.content import check_text
from app.conversation.jsonvalue import to_json, unstorable
from app.conversation.needs import StepSpec
from app.errors import BotError

_PROPERTIES = 30  # 8x8's limit of additional properties


def seconds(timeout: float | timedelta | None, what: str) -> float | None:
    """A wait in seconds; None is for ever."""
    if timeout is None:
        return None
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise BotError(f"{what} must be a number of seconds or a timedelta.")
    if not math.isfinite(timeout) or timeout < 0:
        raise BotError(f"{what} must be finite and not negative.")
    return float(timeout)


def call(
    function: Callable[..., Any],
    /,
    *args: Any,
    retry: bool = True,
    retries: int = 2,
    timeout: float | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> StepSpec:
    """A step for `chat.steps`, with the parameters of `chat.step`."""
    if not callable(function):
        raise BotError(f"A step is a function, not a {type(function).__name__}.")
    name = step_name(function) if name is None else name
    if not isinstance(name, str) or not 0 < len(name) <= 200 or unstorable(name):
        raise BotError("A step's name must be a text of 1 to 200 characters.")
    if retries < 0:
        raise BotError("step(retries=) must not be negative.")
    limit = seconds(timeout, "step(timeout=)")
    if limit == 0:
        raise BotError("step(timeout=) must be more than 0.")
    return StepSpec(
        name=name,
        function=function,
        args=tuple([_argument(arg, place, name) for place, arg in enumerate(args, 1)]),
        kwargs={key: _argument(arg, key, name) for key, arg in kwargs.items()},
        retry=retry,
        retries=retries,
        timeout=limit,
    )


def step_spec(each: StepSpec | Callable[[], Any]) -> StepSpec:
    """`call(…)` as it is; a functools.partial or a function without parameters as a step."""
    if isinstance(each, StepSpec):
        return each
    if isinstance(each, functools.partial):
        made = call(each.func, *each.args)  # keywords below: they may be named like step's own parameters
        kwargs = {key: _argument(arg, key, made.name) for key, arg in each.keywords.items()}
        return StepSpec(name=made.name, function=each.func, args=made.args, kwargs=kwargs)
    return call(each)


def _argument(value: Any, which: int | str, step: str) -> Any:
    if value is None or (type(value) is str and not unstorable(value)):  # the usual ones, without delay
        return value
    return to_json(value, f"argument {which} of step {step}")


def step_name(function: Callable[..., Any]) -> str:
    """What a step is called unless told: its function's name."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return str(name)


def handover_params(
    queue: str | None,
    message: str | None,
    properties: Mapping[str, Any] | None,
    cancel_text: str | None,
    summary: str | None,
    timeout: float | timedelta | None,
    wants: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of a `handover` entry. What the bot left out is null: the endpoint's settings decide.

    `wants`: what the bot has handlers for: queued, active, inactive, cancel.
    """
    texts = {"queue": queue, "message": message, "cancel_text": cancel_text, "summary": summary}
    for key, text in texts.items():
        if text is not None:
            check_text(text, f"handover({key}=)")
    packet = to_json(dict(properties or {}), "handover(properties=)")
    if len(packet) > _PROPERTIES:
        raise BotError(f"A handover has at most {_PROPERTIES} properties.")
    wait = seconds(timeout, "handover(timeout=)")
    return {**texts, "properties": packet, "timeout": wait, "wants": list(wants)}
