"""A delivery's content as the body of `POST …/conversations/{id}/messages`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUICK_REPLIES = "application/8x8.quick.replies"
ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"


def render(content: Mapping[str, Any]) -> dict[str, Any]:
    """The request's JSON.

    `content` is {"text": str | None, "quick_replies": [{"title", "payload"}] | None, "card": {an Adaptive
    Card} | None, "raw": {an 8x8 message} | None}. Text goes along with cards, so that a channel that can't
    show them still shows something. A raw message is sent as it is, only ever in the bot's name.
    """
    raw = content.get("raw")
    if raw is not None:
        return {**raw, "authorType": "bot"}
    body: dict[str, Any] = {"authorType": "bot", "text": content.get("text") or ""}
    cards = []
    if content.get("card") is not None:
        cards.append({"contentType": ADAPTIVE_CARD, "content": content["card"]})
    if content.get("quick_replies"):
        options = [_option(reply) for reply in content["quick_replies"]]
        cards.append({"contentType": QUICK_REPLIES, "content": {"options": options}})
    if cards:
        body["cards"] = cards
    return body


def _option(reply: Mapping[str, Any]) -> dict[str, Any]:
    payload = reply.get("payload")
    return {"title": reply["title"], "data": {"postback": reply["title"] if payload is None else payload}}
