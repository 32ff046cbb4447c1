"""The one tree of errors.

    ParleyError
    ├── ConfigurationError      the operator must change something: settings, endpoints.yaml, a port
    │   └── SchemaOutdated      the database's tables are older (or newer) than this code
    ├── EventRefused            a webhook request that is not accepted; carries the HTTP status
    ├── BotError                the bot's code did something that can't work
    │   └── Diverged            a dialog no longer fits its journal
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


class OwnershipLost(ParleyError):
    """Another worker owns this conversation now."""


class GatewayError(ParleyError):
    """The Chat Gateway did not take a request."""
