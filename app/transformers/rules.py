"""What a transformer may give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.conversation.jsonvalue import to_json
from app.errors import BotError, ParleyError
from app.transformers.types import Changed

LONGEST_ID = 256
LONGEST_TEXT = 10_000

#: Outputs that execution_finished may give back.
MOST_OUTPUTS = 50

_NAMES = {"userId": "user_id", "sessionId": "session_id", "text": "text", "data": "data"}


class ResultRefused(ParleyError):
    """The transformer gave back what it must not."""


@dataclass(frozen=True, slots=True)
class Result:
    """What is to be changed; None keeps the original."""

    user_id: str | None = None
    session_id: str | None = None
    text: str | None = None
    data: dict[str, Any] | None = None


def read_result(given: object) -> Result | None:
    """What input, inject and notify gave back; None where it is falsy. Raises ResultRefused."""
    if not given:
        return None
    if isinstance(given, Changed):
        values: Mapping[str, Any] = {name: getattr(given, field) for name, field in _NAMES.items()}
    elif isinstance(given, Mapping):
        values = given
    else:
        raise ResultRefused(f"It gave back a {type(given).__name__}, not a mapping")
    if unknown := [name for name in values if name not in _NAMES]:
        raise ResultRefused(f"It gave back something else than {', '.join(_NAMES)}: {len(unknown)} more")
    for name, most in (("userId", LONGEST_ID), ("sessionId", LONGEST_ID), ("text", LONGEST_TEXT)):
        value = values.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > most):
            raise ResultRefused(f"{name} must be a text of at most {most:,} characters")
    if values.get("data") is not None and not isinstance(values["data"], Mapping):
        raise ResultRefused("data must be a mapping")
    checked = _json({name: values[name] for name in _NAMES if values.get(name) is not None})
    return Result(**{_NAMES[name]: value for name, value in checked.items()})


def read_output(given: object) -> dict[str, Any] | None:
    """A message in 8x8's form; None where it is falsy. Raises ResultRefused."""
    if not given:
        return None
    if not isinstance(given, Mapping):
        raise ResultRefused(f"It gave back a {type(given).__name__}, not a mapping")
    body = _json(dict(given))
    text = body.get("text")
    if text is not None and (not isinstance(text, str) or len(text) > LONGEST_TEXT):
        raise ResultRefused(f"text must be a text of at most {LONGEST_TEXT:,} characters")
    return body


def read_outputs(given: object) -> list[dict[str, Any]]:
    """What execution_finished gave back. Raises ResultRefused."""
    if not given:
        return []
    if not isinstance(given, list | tuple) or len(given) > MOST_OUTPUTS:
        raise ResultRefused(f"It must give back a list of at most {MOST_OUTPUTS} messages")
    return [body for each in given if (body := read_output(each)) is not None]


def read_storage(value: object) -> dict[str, Any]:
    """The session storage as the transformer left it. Raises ResultRefused for what isn't JSON."""
    if not isinstance(value, dict):
        raise ResultRefused("storage must stay a dict")
    return _json(value)


def _json(value: dict[Any, Any]) -> dict[str, Any]:
    try:
        checked: dict[str, Any] = to_json(value, "what it gave back")
    except BotError as error:
        raise ResultRefused(str(error)) from None
    return checked
