"""What a bot says as readable text, its choices numbered: for channels that show no cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.gateway.rendering.cardtext import card_lines, card_parts
from app.gateway.rendering.channels import shows_files
from app.gateway.rendering.markdown import plain, whatsapp

Json = Mapping[str, Any]


@dataclass(slots=True)
class Readable:
    """Blocks of lines, and the choices numbered in them: {"title", "payload"} each.

    A choice of an author's own card has "submit" as well: see cardtext.py.
    """

    blocks: list[list[str]] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole of it."""
        return "\n\n".join("\n".join(lines) for lines in self.blocks if lines)

    def say(self, *lines: str | None) -> None:
        """A block of the lines that there are."""
        self.blocks.append([line for line in lines if line])

    def buttons(self, buttons: Sequence[Json]) -> list[str]:
        """Lines of buttons: a postback is numbered."""
        return [self._button(button) for button in buttons]

    def _button(self, button: Json) -> str:
        if button.get("type") == "link":
            return f"{button['title']}: {button['url']}"
        if button.get("type") == "phone":
            return f"{button['title']}: {button['number']}"
        title = str(button["title"])
        payload = button.get("payload")
        return self._choice({"title": title, "payload": title if payload is None else str(payload)})

    def card(self, card: Json) -> None:
        """A block of the card's lines, its choices numbered."""
        self.say(*(part if isinstance(part, str) else self._choice(part) for part in card_parts(card)))

    def _choice(self, choice: dict[str, Any]) -> str:
        self.choices.append(choice)
        return f"{len(self.choices)}. {choice['title']}"


def readable(content: Json, channel: str | None) -> Readable:
    """The content as text for this channel."""
    found = Readable()
    text = content.get("text")
    kind = content.get("type")
    if kind == "markdown":
        text = whatsapp(text or "") if channel == "WhatsApp" else plain(text or "")
    found.say(text)
    if kind is not None:
        _TYPES.get(kind, _nothing)(found, content)
    if content.get("card") is not None:
        found.card(content["card"])
    if content.get("attachments") and not shows_files(channel):
        found.say(*(f"{file['name']}: {file['url']}" for file in content["attachments"]))
    if content.get("quick_replies"):
        found.say(*found.buttons(content["quick_replies"]))
    return found


def lead(content: Json) -> str:
    """The text that goes along with a card: the bot's own, else what says in short what the card shows."""
    text = content.get("text")
    if text:
        return plain(text) if content.get("type") == "markdown" else str(text)
    if content.get("card") is not None:
        return "\n".join(card_lines(content["card"]))
    if content.get("items"):
        return ", ".join(str(item["title"]) for item in content["items"])
    if content.get("type") == "location":
        return place(content)
    return str(content.get("title") or "")


def place(content: Json) -> str:
    """A location's name, else its address, else its degrees."""
    degrees = f"{content['latitude']:.6f}, {content['longitude']:.6f}"
    return str(content.get("name") or content.get("address") or degrees)


def map_url(content: Json) -> str:
    """Where a location can be seen on a map."""
    degrees = f"{content['latitude']:.6f}", f"{content['longitude']:.6f}"
    return "https://www.openstreetmap.org/?mlat={}&mlon={}".format(*degrees)


def _buttons(found: Readable, content: Json) -> None:
    found.say(*found.buttons(content["buttons"]))


def _items(found: Readable, content: Json) -> None:
    for item in content["items"]:
        found.say(item["title"], item.get("subtitle"), *found.buttons(item.get("buttons") or []))


def _link(found: Readable, content: Json) -> None:
    found.say(f"{content['title']}: {content['url']}")


def _location(found: Readable, content: Json) -> None:
    address = content.get("address") if content.get("name") else None
    found.say(place(content), address, map_url(content))


def _nothing(found: Readable, content: Json) -> None:
    """Its text says all."""


_TYPES: dict[str, Callable[[Readable, Json], None]] = {
    "buttons": _buttons,
    "list": _items,
    "gallery": _items,
    "image": _link,
    "audio": _link,
    "video": _link,
    "file": _link,
    "location": _location,
}
