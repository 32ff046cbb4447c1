"""What must not reach a log line: kept beside the conversation being handled, masked in whatever is logged.

Known from an input's arrival on, so that the very first line about it is masked too. It goes with the
context: into the bot, its steps (threads too) and its transformers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from app.conversation.privacy.masks import pattern, scrubbed

#: Values remembered of one conversation; more than an open session's recent inputs have.
MOST = 500

_current: ContextVar[Sensitive | None] = ContextVar("sensitive", default=None)
_ALWAYS_PLAIN = frozenset({"timestamp", "level", "logger", "part"})


class Sensitive:
    """The values of one conversation."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        """Mask these from now on."""
        new = [value for value in values if value.strip() and value not in self._values]
        if not new:
            return
        self._values.update(dict.fromkeys(new))
        while len(self._values) > MOST:
            del self._values[next(iter(self._values))]
        self._pattern = pattern(self._values)

    def mask(self, value: Any) -> Any:
        """A value without them."""
        return scrubbed(value, self._pattern)


def guard(sensitive: Sensitive | None) -> None:
    """From here on, in this context, what is logged is masked so."""
    _current.set(sensitive)


def guarding() -> Sensitive | None:
    """What is masked in this context."""
    return _current.get()


def masked_text(text: str) -> str:
    """A text that leaves this process for a log or Prefect."""
    sensitive = _current.get()
    return text if sensitive is None else str(sensitive.mask(text))


def mask_log(_logger: Any, _method: str, event: Any) -> Any:
    """structlog's last processor before the renderer."""
    sensitive = _current.get()
    if sensitive is None:
        return event
    return {
        name: value if name in _ALWAYS_PLAIN else sensitive.mask(_plain(value))
        for name, value in event.items()
    }


def _plain(value: Any) -> Any:
    """A value in which texts can be found: what isn't JSON is written as it would be logged."""
    if value is None or isinstance(value, str | bool | list | tuple | dict):
        return value
    return value if isinstance(value, int | float) else str(value)
