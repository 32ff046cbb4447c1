"""What a bot says: checked when built, so that a mistake shows at the line that made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.conversation.jsonvalue import check_json, copy_json, unstorable
from app.errors import BotError

TEXT_LIMIT = 10_000
"""Characters in one message."""


@dataclass(frozen=True, slots=True)
class QuickReply:
    """A choice below a message. `payload` comes back beside the title; unless given, it is the title."""

    title: str
    payload: str | None = None

    def __post_init__(self) -> None:
        check_text(self.title, "a quick reply's title")
        if self.payload is not None:
            check_text(self.payload, "a quick reply's payload")

    def to_json(self) -> dict[str, str]:
        """{"title", "payload"}."""
        payload = self.title if self.payload is None else self.payload
        return {"title": str.__str__(self.title), "payload": str.__str__(payload)}


@dataclass(frozen=True, slots=True)
class Card:
    """An Adaptive Card. `content` is copied: changing the dict afterwards changes nothing."""

    content: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.content, Mapping):
            raise BotError(f"A card is an object, not a {type(self.content).__name__}.")
        content = check_json(dict(self.content), "a card")
        if content.get("type") != "AdaptiveCard":
            raise BotError('A card needs "type": "AdaptiveCard".')
        version = content.get("version")
        if not isinstance(version, str) or not version:
            raise BotError('A card needs a "version" such as "1.3".')
        object.__setattr__(self, "content", content)

    def to_json(self) -> dict[str, Any]:
        """The card itself."""
        card: dict[str, Any] = copy_json(self.content)
        return card


def output(
    text: str | None,
    quick_replies: Iterable[str | QuickReply] | None,
    card: Card | Mapping[str, Any] | None,
    raw: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The content of an `output` entry: {"text", "quick_replies": [{"title", "payload"}], "card", "raw"}.

    Raises BotError when there is nothing to say or it can't be sent.
    """
    if text is not None:
        check_text(text, "a message's text")
        text = str.__str__(text)  # of a StrEnum, the plain text
    replies = [] if quick_replies is None else [_quick_reply(reply) for reply in quick_replies]
    if raw is not None:
        if text is not None or replies or card is not None:
            raise BotError("A raw message stands alone: give say(raw=…) nothing else.")
        if not isinstance(raw, Mapping) or not raw:
            raise BotError("A raw message is an object with at least one key.")
        return {
            "text": None,
            "quick_replies": [],
            "card": None,
            "raw": check_json(dict(raw), "a raw message"),
        }
    if text is None and card is None:
        raise BotError("There is nothing to say: give a text, a card or a raw message.")
    if card is not None:
        card = (card if isinstance(card, Card) else Card(card)).to_json()
    return {"text": text, "quick_replies": replies, "card": card, "raw": None}


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


def _quick_reply(reply: str | QuickReply) -> dict[str, str]:
    return (QuickReply(reply) if isinstance(reply, str) else reply).to_json()
