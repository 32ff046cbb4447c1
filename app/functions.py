"""Functions that endpoints.yaml names, beside the bots: found by `module:function`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from app.endpoints import Endpoints
from app.errors import ConfigurationError


@lru_cache(maxsize=256)
def load_function(path: str) -> Callable[[Any], Any]:
    """The function at `module:function`, which takes one argument. Raises ConfigurationError."""
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigurationError(f"{module_name} can't be imported: {type(error).__name__}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigurationError(f"{module_name} has no function {name!r}")
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise ConfigurationError(f"{path} must take one argument") from None
    found: Callable[[Any], Any] = function
    return found


def function_mistakes(endpoints: Endpoints) -> list[tuple[tuple[str | int, ...], str]]:
    """Place and message of each transformer that can't be used."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    for index, endpoint in enumerate(endpoints.endpoints):
        for kind, path in endpoint.transformers.named().items():
            try:
                load_function(path)
            except ConfigurationError as error:
                place = ("endpoints", index, "transformers", kind)
                found.append((place, f"({endpoint.name}) {error}"))
    return found
