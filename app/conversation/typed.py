"""What a bot says besides text: typed, frozen, checked when built.

await chat.say(Buttons("What now?", [Postback("Order", "order"), Link("Prices", "https://shop.example")]))

`to_json` is the form that journals keep: {"type": …, "text": …} and the type's own fields. What becomes of it
on each channel is decided in app/gateway/rendering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.conversation.checks import check_text, check_url
from app.conversation.jsonvalue import check_json, copy_json
from app.errors import BotError

MOST_BUTTONS = 10
MOST_ITEMS = 20
_PHONE = frozenset("0123456789+-().* #/")


class Content:
    """Something that `chat.say` takes instead of a text."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """{"type", "text", …}: JSON values only."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Postback:
    """A button whose payload (its title, unless given) comes back as a message of kind quick_reply."""

    title: str
    payload: str | None = None

    def __post_init__(self) -> None:
        check_text(self.title, "a button's title")
        if self.payload is not None:
            check_text(self.payload, "a button's payload")

    def to_json(self) -> dict[str, str]:
        """{"type": "postback", "title", "payload"}."""
        payload = self.title if self.payload is None else self.payload
        return {"type": "postback", "title": _plain(self.title), "payload": _plain(payload)}


@dataclass(frozen=True, slots=True)
class Link:
    """A button that opens an address."""

    title: str
    url: str

    def __post_init__(self) -> None:
        check_text(self.title, "a button's title")
        check_url(self.url, "a link's url")

    def to_json(self) -> dict[str, str]:
        """{"type": "link", "title", "url"}."""
        return {"type": "link", "title": _plain(self.title), "url": _plain(self.url)}


@dataclass(frozen=True, slots=True)
class Phone:
    """A button that calls a number."""

    title: str
    number: str

    def __post_init__(self) -> None:
        check_text(self.title, "a button's title")
        check_text(self.number, "a phone number")
        if not set(self.number) <= _PHONE or not any(character.isdigit() for character in self.number):
            raise BotError("A phone number has digits, spaces and + - ( ) . / * # only.")

    def to_json(self) -> dict[str, str]:
        """{"type": "phone", "title", "number"}."""
        return {"type": "phone", "title": _plain(self.title), "number": _plain(self.number)}


Button = Postback | Link | Phone


@dataclass(frozen=True, slots=True)
class Buttons(Content):
    """A text with buttons."""

    text: str
    buttons: Sequence[Button]

    def __post_init__(self) -> None:
        check_text(self.text, "a message's text")
        object.__setattr__(self, "buttons", _buttons(self.buttons))
        if not self.buttons:
            raise BotError("Buttons need at least one button.")

    def to_json(self) -> dict[str, Any]:
        """{"type": "buttons", "text", "buttons"}."""
        return {"type": "buttons", "text": _plain(self.text), "buttons": _json(self.buttons)}


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a list or a gallery: a title, and what stands below it."""

    title: str
    subtitle: str | None = None
    image: str | None = None
    """The address of a picture."""
    buttons: Sequence[Button] = ()

    def __post_init__(self) -> None:
        check_text(self.title, "a tile's title")
        if self.subtitle is not None:
            check_text(self.subtitle, "a tile's subtitle")
        if self.image is not None:
            check_url(self.image, "a tile's image")
        object.__setattr__(self, "buttons", _buttons(self.buttons))

    def to_json(self) -> dict[str, Any]:
        """{"title", "subtitle", "image", "buttons"}."""
        return {
            "title": _plain(self.title),
            "subtitle": _optional(self.subtitle),
            "image": _optional(self.image),
            "buttons": _json(self.buttons),
        }


@dataclass(frozen=True, slots=True)
class ListMessage(Content):
    """Items below each other, with a text above."""

    items: Sequence[Tile]
    text: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", _tiles(self.items, "A list"))
        _check_optional(self.text)

    def to_json(self) -> dict[str, Any]:
        """{"type": "list", "text", "items"}."""
        return {"type": "list", "text": _optional(self.text), "items": _json(self.items)}


@dataclass(frozen=True, slots=True)
class Gallery(Content):
    """Tiles beside each other, with a text above."""

    tiles: Sequence[Tile]
    text: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tiles", _tiles(self.tiles, "A gallery"))
        _check_optional(self.text)

    def to_json(self) -> dict[str, Any]:
        """{"type": "gallery", "text", "items"}."""
        return {"type": "gallery", "text": _optional(self.text), "items": _json(self.tiles)}


@dataclass(frozen=True, slots=True)
class _Media(Content):
    """Something at an address. `title` says in words what it is; `text` stands above it."""

    url: str
    title: str
    text: str | None = None

    def __post_init__(self) -> None:
        check_url(self.url, "a url")
        check_text(self.title, "a title")
        _check_optional(self.text)

    def _json(self, kind: str) -> dict[str, Any]:
        return {
            "type": kind,
            "text": _optional(self.text),
            "url": _plain(self.url),
            "title": _plain(self.title),
        }


@dataclass(frozen=True, slots=True)
class Image(_Media):
    """A picture; `title` is said where it can't be seen."""

    def to_json(self) -> dict[str, Any]:
        """{"type": "image", "text", "url", "title"}."""
        return self._json("image")


@dataclass(frozen=True, slots=True)
class Audio(_Media):
    """Something to listen to."""

    def to_json(self) -> dict[str, Any]:
        """{"type": "audio", "text", "url", "title"}."""
        return self._json("audio")


@dataclass(frozen=True, slots=True)
class Video(_Media):
    """Something to watch; `poster` is the address of a picture shown before."""

    poster: str | None = None

    def __post_init__(self) -> None:
        _Media.__post_init__(self)
        if self.poster is not None:
            check_url(self.poster, "a poster's url")

    def to_json(self) -> dict[str, Any]:
        """{"type": "video", "text", "url", "title", "poster"}."""
        return {**self._json("video"), "poster": _optional(self.poster)}


@dataclass(frozen=True, slots=True)
class FileLink(_Media):
    """A file that is there for download at an address; `title` is its name."""

    def to_json(self) -> dict[str, Any]:
        """{"type": "file", "text", "url", "title"}."""
        return self._json("file")


@dataclass(frozen=True, slots=True)
class Location(Content):
    """A place, in degrees."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        for what, value, most in (("latitude", self.latitude, 90), ("longitude", self.longitude, 180)):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not -most <= value <= most:
                raise BotError(f"A {what} is a number from -{most} to {most}.")
        for part in (self.name, self.address, self.text):
            _check_optional(part)

    def to_json(self) -> dict[str, Any]:
        """{"type": "location", "text", "latitude", "longitude", "name", "address"}."""
        return {
            "type": "location",
            "text": _optional(self.text),
            "latitude": float(self.latitude) + 0.0,
            "longitude": float(self.longitude) + 0.0,
            "name": _optional(self.name),
            "address": _optional(self.address),
        }


@dataclass(frozen=True, slots=True)
class Template(Content):
    """A template of the channel: `content` in 8x8's own form (not published); `text` goes along."""

    text: str
    content: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_text(self.text, "a message's text")
        if not isinstance(self.content, Mapping) or not self.content:
            raise BotError("A template's content is an object with at least one key.")
        object.__setattr__(self, "content", check_json(dict(self.content), "a template"))

    def to_json(self) -> dict[str, Any]:
        """{"type": "template", "text", "content"}."""
        return {"type": "template", "text": _plain(self.text), "content": copy_json(self.content)}


@dataclass(frozen=True, slots=True)
class Markdown(Content):
    """A text with Markdown marks: bold, italic, struck, code, headings, lists, links."""

    text: str

    def __post_init__(self) -> None:
        check_text(self.text, "a message's text")

    def to_json(self) -> dict[str, Any]:
        """{"type": "markdown", "text"}."""
        return {"type": "markdown", "text": _plain(self.text)}


def _buttons(buttons: object) -> tuple[Button, ...]:
    if isinstance(buttons, str) or not isinstance(buttons, Sequence):
        raise BotError("Buttons are a list of Postback, Link and Phone.")
    for button in buttons:
        if not isinstance(button, Postback | Link | Phone):
            raise BotError(f"A button is a Postback, Link or Phone, not a {type(button).__name__}.")
    if len(buttons) > MOST_BUTTONS:
        raise BotError(f"There are more than {MOST_BUTTONS} buttons.")
    return tuple(buttons)


def _tiles(tiles: object, what: str) -> tuple[Tile, ...]:
    if isinstance(tiles, str) or not isinstance(tiles, Sequence) or not tiles:
        raise BotError(f"{what} needs at least one Tile.")
    for tile in tiles:
        if not isinstance(tile, Tile):
            raise BotError(f"{what} is made of Tiles, not of a {type(tile).__name__}.")
    if len(tiles) > MOST_ITEMS:
        raise BotError(f"{what} has more than {MOST_ITEMS} Tiles.")
    return tuple(tiles)


def _check_optional(text: object) -> None:
    if text is not None:
        check_text(text, "a text")


def _optional(text: str | None) -> str | None:
    return None if text is None else _plain(text)


def _plain(text: str) -> str:
    return str.__str__(text)  # of a StrEnum, the plain text


def _json(parts: Sequence[Any]) -> list[dict[str, Any]]:
    return [part.to_json() for part in parts]
