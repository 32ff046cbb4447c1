"""What a text must be to be sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.conversation.jsonvalue import unstorable
from app.errors import BotError

TEXT_LIMIT = 10_000
"""Characters in one message of a bot."""

LONGEST_URL = 2000


def check_text(text: object, what: str) -> None:
    """Raise BotError unless this is a text that can be sent."""
    if not isinstance(text, str):
        raise BotError(f"{what.capitalize()} must be a str, not {type(text).__name__}.")
    if not text or text.isspace():
        raise BotError(f"{what.capitalize()} is empty.")
    if len(text) > TEXT_LIMIT:
        raise BotError(f"{what.capitalize()} is longer than {TEXT_LIMIT:,} characters.")
    problem = unstorable(text)
    if problem is not None:
        raise BotError(f"{what.capitalize()} holds {problem}.")


def check_url(url: object, what: str) -> None:
    """Raise BotError unless this is an http(s) address."""
    check_text(url, what)
    assert isinstance(url, str)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BotError(f"{what.capitalize()} is no address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, url)):
        raise BotError(f"{what.capitalize()} must begin with https:// or http:// and hold no space.")
    if len(url) > LONGEST_URL:
        raise BotError(f"{what.capitalize()} is longer than {LONGEST_URL:,} characters.")
