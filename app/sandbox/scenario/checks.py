"""Whether what the bot did is what a step expects, and if not, how it differs."""

import difflib
import json
import re

from app.sandbox import cardtext
from app.sandbox.scenario.model import BotSays, Handover
from app.sandbox.schema import ConversationView, MessageView


def message_mistakes(expected: BotSays, message: MessageView) -> list[str]:
    """How a message differs, as lines to read; nothing when it is as expected."""
    text = message.text or ""
    mistakes = []
    if expected.text is not None and text.strip() != expected.text.strip():
        mistakes += diff(expected.text, text)
    for part in expected.parts:
        if part not in text:
            mistakes += [f"does not contain: {part}", *_shown(text)]
    if expected.matches is not None and re.search(expected.matches, text) is None:
        mistakes += [f"does not match: {expected.matches}", *_shown(text)]
    if expected.quick_replies is not None:
        offered = [title for card in message.cards for title, _ in cardtext.quick_replies(card)]
        if offered != expected.quick_replies:
            mistakes += ["quick replies:", *diff("\n".join(expected.quick_replies), "\n".join(offered))]
    if expected.card is not None:
        mistakes += _card_mistakes(expected.card, message)
    if expected.files is not None:
        sent = [file.file_name for file in message.attachments]
        if sent != expected.files:
            mistakes += ["files:", *diff("\n".join(expected.files), "\n".join(sent))]
    return mistakes


def handover_mistakes(expected: Handover, conversation: ConversationView) -> list[str]:
    """How a conversation's hand-over differs; nothing when it is as expected."""
    if conversation.queue is None:
        return ["the conversation waits in no queue"]
    mistakes = []
    if expected.queue is not None and conversation.queue != expected.queue:
        mistakes += ["queue:", *diff(expected.queue, conversation.queue)]
    handed = properties(conversation)
    for key, value in expected.properties.items():
        if key not in handed:
            mistakes.append(f"property {key} is missing; there are: {', '.join(handed) or 'none'}")
        elif handed[key] != value:
            mistakes += [f"property {key}:", *diff(value, handed[key])]
    return mistakes


def properties(conversation: ConversationView) -> dict[str, str]:
    """The additional properties of a conversation's user."""
    found = conversation.user.get("additionalProperties")
    pairs = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return {str(pair.get("key")): str(pair.get("value")) for pair in pairs}


def diff(expected: str, got: str) -> list[str]:
    """Lines of a diff: "-" was expected, "+" came, "?" marks where."""
    lines = difflib.ndiff(expected.splitlines() or [""], got.splitlines() or ["(nothing)"])
    return [line.rstrip("\n") for line in lines]


def _shown(text: str) -> list[str]:
    return [f"+ {line}" for line in text.splitlines() or ["(no text)"]]


def _card_mistakes(expected: dict[str, object], message: MessageView) -> list[str]:
    cards = [card.content for card in message.cards if card.content_type == cardtext.ADAPTIVE]
    if not cards:
        return ["has no adaptive card"]
    if any(_holds(card, expected) for card in cards):
        return []
    return ["card:", *diff(_json(expected), _json(cards[0]))]


def _holds(whole: object, part: object) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and _holds(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return (
            isinstance(whole, list)
            and len(whole) == len(part)
            and all(_holds(one, other) for one, other in zip(whole, part, strict=True))
        )
    return whole == part


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
