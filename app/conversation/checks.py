"""What a text must be to be sent."""

from __future__ import annotations

from app.conversation.jsonvalue import unstorable
from app.errors import BotError

TEXT_LIMIT = 10_000
"""Characters in one message of a bot."""


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
