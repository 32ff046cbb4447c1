"""What must not reach a log line: kept beside the conversation being handled, masked in whatever is logged.

Known from an input's arrival on, so that the very first line about it is masked too. It goes with the
context: into the bot, its steps (threads too) and its transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from app.conversation.privacy.forms import SHORTEST, forms
from app.conversation.privacy.masks import MASK, pattern

#: Forms of values that are looked for, far more than a session has. Beyond it everything is masked.
MOST = 5000
#: Characters of them, likewise.
LARGEST = 2_000_000

_current: ContextVar[Sensitive | None] = ContextVar("sensitive", default=None)
_ALWAYS_PLAIN = frozenset({"timestamp", "level", "logger", "part"})


class Sensitive:
    """The values of one conversation, in all their forms."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._forms: dict[str, str] = {}
        self._size = 0

    @property
    def values(self) -> Iterable[str]:
        """What is masked."""
        return self._known

    @property
    def full(self) -> bool:
        """There are too many to look for: whatever is to be masked is masked as a whole."""
        return len(self._forms) > MOST or self._size > LARGEST

    def add(self, values: Iterable[str]) -> None:
        """Mask these from now on."""
        for value in values:
            if value not in self._known and not self.full:
                self._known.add(value)
                new = {form: form.lower() for form in forms(value) if form not in self._forms}
                self._forms.update(new)
                self._size += sum(map(len, new))

    def mask(self, value: Any) -> Any:
        """A value without them. What isn't JSON is text then, as it would be logged."""
        if value is None or isinstance(value, bool):
            return value
        if self.full:
            return MASK
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, Mapping):
            return {self._key(key): self.mask(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.mask(item) for item in value]
        return self.mask_text(value.decode(errors="replace") if isinstance(value, bytes) else repr(value))

    def scrub(self, value: Any) -> Any:
        """A JSON value of the same shape without them: keys stay."""
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, Mapping):
            return {key: self.scrub(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.scrub(item) for item in value]
        return self._number(value) if isinstance(value, int | float) else value

    def mask_text(self, text: str) -> str:
        """A text without them."""
        lowered, plain = text.lower(), text.isascii()
        found = [
            form for form, lower in self._forms.items() if lower in lowered or (not plain and form in text)
        ]
        secrets = pattern(found)
        return text if secrets is None else secrets.sub(MASK, text)

    def _number(self, value: float) -> Any:
        """Short numbers are counts and ids: who wrote "2" means none of them."""
        text = str(value)
        short = isinstance(value, bool) or len(text) < SHORTEST
        return value if short or self.mask_text(text) == text else MASK

    def _key(self, key: Any) -> Any:
        return self.mask_text(key) if isinstance(key, str) else self.mask(key)


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
    return {name: value if name in _ALWAYS_PLAIN else sensitive.mask(value) for name, value in event.items()}
