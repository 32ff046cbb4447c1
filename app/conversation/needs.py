"""What a driver hands back when it can't go on by itself.

`Receive`, `RunSteps` and `Handover` wait for something to be fed, `ReadFile` for a file's bytes, `StoreFiles`
for files to be kept; `Finished`, `Failed` and `Diverged` end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.conversation.file import File
from app.conversation.where import is_ours
from app.errors import ParleyError


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step as the bot wrote it. `timeout` in seconds, for each attempt; `retries` come after the first."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    retry: bool = True
    retries: int = 2
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class StepCall:
    """A step to run. `key` is the same whenever this step of this dialog runs again.

    `begun`: its entry was stored before this driver began, so that it may have run already (a crash).
    With `retry` False it must then not run: feed a result that says "interrupted" (`run_step` does).
    """

    position: int
    key: str
    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    retry: bool
    retries: int
    timeout: float | None
    begun: bool


@dataclass(frozen=True, slots=True)
class Receive:
    """Feed an `input`, or a `timeout` when `timeout` seconds have passed since `since` (None: never).

    `private`: what is fed stays out of transcript and analytics.
    """

    position: int
    timeout: float | None
    since: datetime
    private: bool = False


@dataclass(frozen=True, slots=True)
class RunSteps:
    """Run these, at once where there are several, and feed a `result` for each."""

    calls: tuple[StepCall, ...]


@dataclass(frozen=True, slots=True)
class Handover:
    """Hand over and feed the `outcome`. `position` is that of the handover's own entry.

    `begun`: the entry was stored before this driver began. A `signal` may be fed before the outcome.
    `cancel_when` is the bot's own: whether a text of the user means "stop waiting". `private`: what is said
    meanwhile stays out of transcript and analytics.
    """

    params: dict[str, Any]
    position: int
    begun: bool
    cancel_when: Callable[[str], bool] | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Provide the bytes of the stored file with this key. Nothing of it is journaled."""

    key: str


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """Make the files of the output at this position durable, and tell what became of them.

    That is {"attachments": [{"file": key, "name", "type", "size", "url"}]}, journaled with the output; or
    {"unsaid": why not}, journaled too: the bot gets it as a BotError, at every replay.
    """

    position: int
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The bot returned: the dialog is over; with `ends_session` (`chat.end()`) the session too."""

    ends_session: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The bot raised, or did what can't work. `where` is the bot's `file:line`.

    The error's own message may hold a user's text, unless it is Parley's: tell `summary` instead.
    """

    error: BaseException
    where: str

    @property
    def summary(self) -> str:
        """The error's type and where; of what Parley refused also why, which holds nobody's text."""
        summary = f"{type(self.error).__name__} at {self.where}"
        if isinstance(self.error, ParleyError) and is_ours(self.error):
            return f"{summary}: {self.error}"
        return summary


@dataclass(frozen=True, slots=True)
class Diverged:
    """The bot no longer does what its journal says. `reason` names kinds and steps, never a text."""

    reason: str
    position: int


Need = Receive | RunSteps | Handover | ReadFile | StoreFiles | Finished | Failed | Diverged
