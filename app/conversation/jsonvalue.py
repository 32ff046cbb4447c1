"""JSON values that come back from the database exactly as they went in.

PostgreSQL's JSONB forgets the order of keys, gives whole numbers for floats from 1e16 on, has no -0.0 and
refuses NUL, lone surrogates and NaN. A replay must not notice a difference, so what a bot gets is brought
into one form wherever it comes from: keys sorted, such floats as integers, and what can't be stored refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Never

from pydantic_core import PydanticSerializationError, to_jsonable_python

from app.errors import BotError

#: Floats from here on are written with an exponent, which JSONB turns into a whole number.
_EXPONENT = 1e16
#: Python refuses to read longer integers from text.
_LONGEST = 10**4000


def copy_json(value: Any) -> Any:
    """A copy of a stored value in the one form."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        return {key: copy_json(value[key]) for key in sorted(value)}
    if kind is list:
        return [copy_json(item) for item in value]
    return _float(value)


def to_json(value: Any, what: str) -> Any:
    """`value` through JSON, in the one form: Decimal and date become str, a model or dataclass becomes dict.

    Raises BotError, naming `what`, for what JSON or the database can't hold.
    """
    return _checked(value, what, lenient=True)


def check_json(value: Any, what: str) -> Any:
    """A copy of `value` in the one form; unlike `to_json`, anything but a JSON type is a BotError."""
    return _checked(value, what, lenient=False)


def keep_json(values: Mapping[Any, Any]) -> dict[str, Any]:
    """A copy in the one form of those values that `check_json` accepts."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        with suppress(BotError):
            kept |= check_json({key: value}, "a value")
    return dict(sorted(kept.items()))


def unstorable(text: str) -> str | None:
    """Why the database or 8x8 can't hold this text, or None."""
    if "\0" in text:
        return "a NUL character"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "a lone surrogate"
    return None


def _checked(value: Any, what: str, *, lenient: bool) -> Any:
    try:
        return _convert(value, what, lenient)
    except RecursionError:
        raise BotError(f"{what} is nested too deeply, or contains itself.") from None


def _convert(value: Any, what: str, lenient: bool) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        problem = unstorable(value)
        if problem is not None:
            raise BotError(f"{what} holds {problem}.")
        return value
    if kind is int:
        if -_LONGEST < value < _LONGEST:
            return value
        raise BotError(f"{what} holds a number of more than 4,000 digits.")
    if kind is float:
        if value - value != 0:
            raise BotError(f"{what} holds NaN or infinity, which JSON has not.")
        return _float(value)
    if kind is list:
        return [_convert(item, f"{what}[{place}]", lenient) for place, item in enumerate(value)]
    if kind is dict:
        return _convert_dict(value, what, lenient)
    if not lenient:
        raise BotError(
            f"{what} holds a {kind.__name__}; only str, int, float, bool, None, list and dict stay."
        )
    return _convert(_plain(value, what), what, lenient)


def _convert_dict(value: dict[Any, Any], what: str, lenient: bool) -> dict[str, Any]:
    if not all(type(key) is str for key in value):
        if not lenient:
            raise BotError(f"{what} has a key that is not a str.")
        value = _plain(value, what)
    for key in value:
        problem = unstorable(key)
        if problem is not None:
            raise BotError(f"{what} has a key with {problem}.")
    return {key: _convert(value[key], f"{what}[{_shown(key)}]", lenient) for key in sorted(value)}


def _plain(value: Any, what: str) -> Any:
    if isinstance(value, Mapping) and not isinstance(value, dict):
        value = dict(value)
    try:
        plain = to_jsonable_python(value)
    except (PydanticSerializationError, ValueError):
        _refuse(value, what)
    if type(plain) not in (str, int, float, bool, list, dict, type(None)):
        _refuse(value, what)
    return plain


def _refuse(value: Any, what: str) -> Never:
    raise BotError(f"{what} holds a {type(value).__name__}, which JSON can't express.") from None


def _float(value: float) -> float | int:
    if -_EXPONENT < value < _EXPONENT:
        return value + 0.0  # -0.0 + 0.0 is 0.0
    return int(value)


def _shown(key: str) -> str:
    """A key as part of an error's message: names that a programmer chose, never longer texts."""
    return repr(key) if key.isidentifier() and len(key) <= 40 else "…"
