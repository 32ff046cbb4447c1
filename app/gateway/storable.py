"""What JSONB accepts: foreign JSON with the few things PostgreSQL refuses written differently.

PostgreSQL's JSONB refuses `\\u0000`, lone surrogates, numbers beyond its range and very deep nesting. A
webhook that failed because of one would be sent again for ever, so such parts are replaced, and the raw
body (stored beside as bytes) still tells what came.
"""

from __future__ import annotations

import math
import re

#: JSON as Python has it.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

#: Levels of nesting that are kept; what lies deeper becomes TOO_DEEP.
DEEPEST = 64
TOO_DEEP = "(nested too deeply)"
#: Whole numbers from here on become strings: no consumer of the JSON can be relied on to read them.
HUGE = 2**63

_refused = re.compile("[\x00\ud800-\udfff]")
_names = {math.inf: "Infinity", -math.inf: "-Infinity"}


def storable(value: object, *, deepest: int = DEEPEST) -> Json:
    """The value as JSONB takes it.

    NUL and lone surrogates become U+FFFD, non-finite numbers and whole numbers of 64 bits and more strings,
    what lies deeper than `deepest` levels TOO_DEEP. Raises TypeError for what isn't JSON.
    """
    if isinstance(value, str):
        return storable_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -HUGE < value < HUGE else _digits(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _names.get(value, "NaN")
    if isinstance(value, dict):
        if deepest == 0:
            return TOO_DEEP
        return {storable_text(str(key)): storable(item, deepest=deepest - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return TOO_DEEP if deepest == 0 else [storable(item, deepest=deepest - 1) for item in value]
    raise TypeError(f"{type(value).__name__} is not JSON")


def storable_text(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    return _refused.sub("\ufffd", text)


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to write more than 4,300 decimal digits
        return hex(value)
