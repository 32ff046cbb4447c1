"""A delivery's content as the body of `POST …/conversations/{id}/messages`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUICK_REPLIES = "application/8x8.quick.replies"
ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"


#: What a request tells of a file that has not been uploaded.
_OF_FILE = ("file", "name", "type", "size")


def render(content: Mapping[str, Any]) -> dict[str, Any]:
    """The request's JSON.

    `content` is {"text": str | None, "quick_replies": [{"title", "payload"}] | None, "card": {an Adaptive
    Card} | None, "raw": {an 8x8 message} | None, "attachments": [{"file": key, "name", …}]}. Text goes along
    with cards, so that a channel that can't show them still shows something. A raw message is sent as it is,
    only ever in the bot's name. Attachments are told by Parley's own key: `placed` makes them 8x8's.
    """
    raw = content.get("raw")
    if raw is not None:
        return {**raw, "authorType": "bot"}
    body: dict[str, Any] = {"authorType": "bot", "text": content.get("text") or ""}
    files = content.get("attachments")
    if files:
        body["attachments"] = [{name: each[name] for name in _OF_FILE if name in each} for each in files]
        if not body["text"]:
            del body["text"]
    cards = []
    if content.get("card") is not None:
        cards.append({"contentType": ADAPTIVE_CARD, "content": content["card"]})
    if content.get("quick_replies"):
        options = [_option(reply) for reply in content["quick_replies"]]
        cards.append({"contentType": QUICK_REPLIES, "content": {"options": options}})
    if cards:
        body["cards"] = cards
    return body


def files_of(content: Mapping[str, Any]) -> list[str]:
    """Keys of the files that a delivery's content refers to."""
    raw = content.get("raw")
    return [each["file"] for each in _files(content if raw is None else raw)]


def placed(body: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """The request's JSON with 8x8's `ids` of its files, by key. All of them must be there."""
    if not _files(body):
        return dict(body)
    return {
        **body,
        "attachments": [
            {"id": ids[each["file"]]} if each in _files(body) else each for each in body["attachments"]
        ],
    }


def _files(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of its attachments that are files of Parley's."""
    found = holder.get("attachments")
    return [
        each
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, Mapping) and isinstance(each.get("file"), str)
    ]


def _option(reply: Mapping[str, Any]) -> dict[str, Any]:
    payload = reply.get("payload")
    return {"title": reply["title"], "data": {"postback": reply["title"] if payload is None else payload}}
