"""One output of a bot as deliveries, in order, for the channel that 8x8 reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.gateway.outgoing import render
from app.gateway.rendering.cards import as_card
from app.gateway.rendering.channels import SHORT, limit, shows_cards, shows_files
from app.gateway.rendering.readable import lead, readable
from app.gateway.rendering.splitting import split

TEMPLATE = "Template"

NOTHING = "…"
"""Goes along with a card that has no word in it: 8x8 takes no message without text or attachment."""

#: Of an output, what its deliveries keep beside what is said.
_KEPT = ("to", "private", "handover", "during_handover")


def is_numbered(channel: str | None) -> bool:
    """Whether choices are numbered lines of text on this channel."""
    return not shows_cards(channel)


def choices(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The choices of an output, {"title", "payload"} each, in the order of their numbers.

    One of an author's own card also has "submit", what a click would submit: {"type", "data"}.
    """
    if content.get("raw") is not None or not any(map(content.get, ("quick_replies", "type", "card"))):
        return []
    return readable(content, None).choices


def deliverables(content: Mapping[str, Any], channel: str | None) -> list[dict[str, Any]]:
    """What is sent: {"text", "quick_replies", "card", "raw"} each (see outgoing.py), its text as it arrives.

    `content` is a journal's output, see content.py. What the channel shows as it is stays as it is.
    """
    text = content.get("text")
    kind = content.get("type")
    files = content.get("attachments") or []
    short = kind is None and not content.get("card") and len(text or "") <= SHORT
    short = short and (not files or shows_files(channel))
    if short and (shows_cards(channel) or not content.get("quick_replies")):
        return [dict(content)]
    if content.get("raw") is not None or content.get("to") == "agent":
        return [dict(content)]
    kept = {name: content[name] for name in _KEPT if name in content}
    cards = shows_cards(channel)
    whole = lead(content) if cards else readable(content, channel).text
    if kind == "template":
        whole = str(text)
    carried = files if shows_files(channel) else []
    texts = split(whole, limit(channel)) if whole or carried else [NOTHING]
    parts = [_part(each, kept) for each in texts]
    last = parts[-1]
    if carried:
        last["attachments"] = carried
    if cards:
        last["quick_replies"] = list(content.get("quick_replies") or [])
        last["card"] = content["card"] if content.get("card") is not None else as_card(content)
    elif kind == "template":
        card = {"contentType": TEMPLATE, "content": content["content"]}
        last["raw"] = {**render(last), "cards": [card]}
        beside = {name: content[name] for name in ("quick_replies", "attachments") if content.get(name)}
        found = readable(beside, channel)
        if found.text:
            parts += [_part(each, kept) for each in split(found.text, limit(channel))]
    return parts


def _part(text: str, kept: dict[str, Any]) -> dict[str, Any]:
    return {"text": text, "quick_replies": [], "card": None, "raw": None, **kept}
