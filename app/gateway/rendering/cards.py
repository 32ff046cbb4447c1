"""Typed content as an Adaptive Card of version 1.2, for channels that show cards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.gateway.rendering.readable import map_url, place

Json = dict[str, Any]

POSTBACK = "parley_postback"
"""The key of a submitted button's data: {"title", "payload"}. See gateway/meaning.py."""


def as_card(content: Mapping[str, Any]) -> Json | None:
    """The card, without the text that goes along; None where text says all."""
    draw = _TYPES.get(content.get("type") or "")
    return None if draw is None else draw(content)


def _card(body: list[Json], actions: list[Json] | None = None) -> Json:
    card: Json = {"type": "AdaptiveCard", "version": "1.2", "body": body}
    if actions:
        card["actions"] = actions
    return card


def _actions(buttons: Sequence[Mapping[str, Any]]) -> list[Json]:
    return [_action(button) for button in buttons]


def _action(button: Mapping[str, Any]) -> Json:
    title = button["title"]
    if button["type"] == "link":
        return {"type": "Action.OpenUrl", "title": title, "url": button["url"]}
    if button["type"] == "phone":
        number = "".join(sign for sign in button["number"] if sign.isdigit() or sign in "+*#")
        return {"type": "Action.OpenUrl", "title": title, "url": f"tel:{number.replace('#', '%23')}"}
    data = {POSTBACK: {"title": title, "payload": button["payload"]}}
    return {"type": "Action.Submit", "title": title, "data": data}


#: What clients take for Markdown, which a TextBlock may have and a TextRun has not.
_MARKS = re.compile(r"[*_\[\]\\]|^\s*(?:[-+]|\d+[.)])\s", re.M)


def _text(text: str, **more: Any) -> Json:
    """The text as it is, whatever is in it."""
    if _MARKS.search(text):
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **more}]}
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _buttons(content: Mapping[str, Any]) -> Json:
    return _card([], _actions(content["buttons"]))


def _tile(tile: Mapping[str, Any], size: str) -> list[Json]:
    parts = []
    if tile.get("image"):
        parts.append({"type": "Image", "url": tile["image"], "altText": tile["title"], "size": size})
    parts.append(_text(tile["title"], weight="Bolder"))
    if tile.get("subtitle"):
        parts.append(_text(tile["subtitle"], isSubtle=True))
    if tile.get("buttons"):
        parts.append({"type": "ActionSet", "actions": _actions(tile["buttons"])})
    return parts


def _list(content: Mapping[str, Any]) -> Json:
    return _card(
        [
            {"type": "Container", "separator": number > 0, "items": _tile(item, "Small")}
            for number, item in enumerate(content["items"])
        ]
    )


def _gallery(content: Mapping[str, Any]) -> Json:
    columns = [
        {"type": "Column", "width": "stretch", "items": _tile(item, "Stretch")} for item in content["items"]
    ]
    rows = [columns[first : first + 3] for first in range(0, len(columns), 3)]
    return _card([{"type": "ColumnSet", "columns": row} for row in rows])


def _image(content: Mapping[str, Any]) -> Json:
    return _card([{"type": "Image", "url": content["url"], "altText": content["title"]}])


def _media(content: Mapping[str, Any]) -> Json:
    media: Json = {
        "type": "Media",
        "altText": content["title"],
        "sources": [{"mimeType": _mime_type(content), "url": content["url"]}],
    }
    if content.get("poster"):
        media["poster"] = content["poster"]
    return _card([media], [_action({"type": "link", "title": content["title"], "url": content["url"]})])


#: By the end of the address; what plays the source needs a type.
_MIME_TYPES = {
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
}


def _mime_type(content: Mapping[str, Any]) -> str:
    path = content["url"].partition("?")[0].partition("#")[0].lower()
    usual = "audio/mpeg" if content["type"] == "audio" else "video/mp4"
    return next((mime for end, mime in _MIME_TYPES.items() if path.endswith(end)), usual)


def _file(content: Mapping[str, Any]) -> Json:
    return _card([], [_action({"type": "link", "title": content["title"], "url": content["url"]})])


def _location(content: Mapping[str, Any]) -> Json:
    body = [_text(place(content), weight="Bolder")]
    if content.get("name") and content.get("address"):
        body.append(_text(content["address"], isSubtle=True))
    degrees = f"{content['latitude']:.6f}, {content['longitude']:.6f}"
    return _card(body, [{"type": "Action.OpenUrl", "title": degrees, "url": map_url(content)}])


_TYPES: dict[str, Callable[[Mapping[str, Any]], Json]] = {
    "buttons": _buttons,
    "list": _list,
    "gallery": _gallery,
    "image": _image,
    "audio": _media,
    "video": _media,
    "file": _file,
    "location": _location,
}
