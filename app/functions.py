"""Functions that endpoints.yaml names, bots and others: found by `module:function`."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from app.bots import load_bot
from app.endpoints_base import FUNCTION_PATH
from app.endpoints_functions import KINDS
from app.errors import ConfigurationError

Place: TypeAlias = tuple[str | int, ...]


@lru_cache(maxsize=256)
def load_function(path: str) -> Callable[[Any], Any]:
    """The function at `module:function`, which takes one argument. Raises ConfigurationError."""
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
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


def unusable(document: Any) -> Iterator[tuple[Place, str]]:
    """Place and message of each bot and transformer that can't be used, whatever else is wrong.

    Those of a disabled endpoint are left alone.
    """
    entries = document.get("endpoints") if isinstance(document, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict) or entry.get("enabled") is False:
            continue
        transformers = entry.get("transformers")
        named = transformers if isinstance(transformers, dict) else {}
        loads: list[tuple[Place, object, Callable[[str], object]]] = [
            (("flow",), entry.get("flow"), load_bot)
        ]
        loads += [(("transformers", kind), named.get(kind), load_function) for kind in KINDS]
        for place, path, load in loads:
            if not isinstance(path, str) or not re.fullmatch(FUNCTION_PATH, path):
                continue  # that is told as a value of the wrong kind
            try:
                load(path)
            except ConfigurationError as error:
                yield ("endpoints", index, *place), f"({entry.get('name')}) {error}"
