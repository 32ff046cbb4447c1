"""What a bot says: checked when built, so that a mistake shows at the line that made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.conversation.card_structure import check_structure
from app.conversation.card_versions import check_card
from app.conversation.checks import TEXT_LIMIT, check_text
from app.conversation.jsonvalue import check_json, copy_json
from app.conversation.typed import Content
from app.errors import BotError

__all__ = ["TEXT_LIMIT", "Card", "QuickReply", "check_text", "output"]

#: What cards may need at most, unless the endpoint says otherwise.
CARD_VERSION = "1.3"

_APOLOGY = "Sorry, I did not understand that."


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
class Card(Content):
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
    text: str | Content | None,
    quick_replies: Iterable[str | QuickReply] | None,
    card: Card | Mapping[str, Any] | None,
    raw: Mapping[str, Any] | None,
    card_version: str = CARD_VERSION,
    *,
    files: bool = False,
) -> dict[str, Any]:
    """The content of an `output` entry: {"text", "quick_replies": [{"title", "payload"}], "card", "raw"}.

    Of typed content (see typed.py) it has "type" and the type's own fields as well. Raises BotError when
    there is nothing to say, it can't be sent, or a card needs a newer version than `card_version`. `files`:
    there are attachments, which need no text beside them.
    """
    if isinstance(text, Card):
        if card is not None:
            raise BotError("There are two cards: say one after the other.")
        text, card = None, text
    typed: dict[str, Any] = {}
    if isinstance(text, Content):
        if card is not None or raw is not None:
            raise BotError(f"A {type(text).__name__} takes no card and no raw message beside it.")
        typed = text.to_json()
        text = typed.pop("text")
    if text is not None:
        check_text(text, "a message's text")
        text = str.__str__(text)  # of a StrEnum, the plain text
    replies = [] if quick_replies is None else [_quick_reply(reply) for reply in quick_replies]
    if raw is not None:
        if text is not None or replies or card is not None or files:
            raise BotError("A raw message stands alone: give say(raw=…) nothing else.")
        if not isinstance(raw, Mapping) or not raw:
            raise BotError("A raw message is an object with at least one key.")
        return {
            "text": None,
            "quick_replies": [],
            "card": None,
            "raw": check_json(dict(raw), "a raw message"),
        }
    if text is None and card is None and not typed and not files:
        raise BotError("There is nothing to say: give a text, a card, attachments or a raw message.")
    if card is not None:
        card = (card if isinstance(card, Card) else Card(card)).to_json()
        check_card(card, card_version)
        check_structure(card)
    return {**typed, "text": text, "quick_replies": replies, "card": card, "raw": None}


def apologetic(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same content with an apology before its text; a raw message, and a text too long for it, as is."""
    text = content["text"]
    if content["raw"] is not None:
        return dict(content)
    if text is None:
        return {**content, "text": _APOLOGY}
    between = "\n\n" if content.get("type") == "markdown" else " "  # a heading begins its line
    sorry = _APOLOGY + between + text
    return {**content, "text": sorry if len(sorry) <= TEXT_LIMIT else text}


def _quick_reply(reply: str | QuickReply) -> dict[str, str]:
    return (QuickReply(reply) if isinstance(reply, str) else reply).to_json()
