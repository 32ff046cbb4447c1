"""The one tree of errors.

    ParleyError
    ├── ConfigurationError      the operator must change something: settings, endpoints.yaml, a port
    │   └── SchemaOutdated      the database's tables are older (or newer) than this code
    ├── EventRefused            a webhook request that is not accepted; carries the HTTP status
    ├── BotError                the bot's code did something that can't work
    │   └── Diverged            a dialog no longer fits its journal
    ├── StepFailed              raised in a bot: the step failed for good
    ├── StepInterrupted         raised in a bot: a step that must not run twice was cut off
    ├── NoAnswer                raised in a bot: no attempt of `ask` got a usable answer (also a ValueError)
    ├── FileUnavailable         raised in a bot: a file that the user sent is not there to be read
    ├── OwnershipLost           another worker owns the conversation now: stop at once
    └── GatewayError            the Chat Gateway didn't take a request

The docstring of a class is its default message. No message ever holds a user's text or a secret:
messages reach logs and Prefect.
"""

from __future__ import annotations


class ParleyError(Exception):
    """Parley failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigurationError(ParleyError):
    """The configuration is not usable."""


class SchemaOutdated(ConfigurationError):
    """The database's tables do not fit this version: run `parley db upgrade`."""


class EventRefused(ParleyError):
    """The request was refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BotError(ParleyError):
    """The bot did something that can't work."""


class Diverged(BotError):
    """The dialog no longer fits its journal."""


class StepFailed(ParleyError):
    """A step failed for good.

    `step` is its name, `error_type` the name of the exception's class, `error` its message (which may hold
    a user's text, and so is no part of this error's own message).
    """

    def __init__(self, step: str, error_type: str, error: str = "") -> None:
        super().__init__(f"Step {step} failed with {error_type}.")
        self.step = step
        self.error_type = error_type
        self.error = error


class StepInterrupted(ParleyError):
    """A step with retry=False was cut off by a restart; whether it took effect is not known.

    `step` is its name.
    """

    def __init__(self, step: str) -> None:
        super().__init__(f"Step {step} was cut off by a restart; it may or may not have taken effect.")
        self.step = step


class NoAnswer(ParleyError, ValueError):
    """None of the answers could be used. `attempts` is how many there were."""

    def __init__(self, attempts: int) -> None:
        super().__init__(f"None of {attempts} answers could be used.")
        self.attempts = attempts


class FileUnavailable(ParleyError):
    """The file can't be read. `reason` is one word, such as too_big, infected or not_found."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The file can't be read: {reason}")
        self.reason = reason


class OwnershipLost(ParleyError):
    """Another worker owns this conversation now."""


class GatewayError(ParleyError):
    """The Chat Gateway did not take a request."""
