"""What a user sent, as a bot sees it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.conversation.jsonvalue import copy_json
from app.errors import FileUnavailable

#: Gives the bytes of a stored file by its key. Chat's own, so that a bot may await it.
ReadFile = Callable[[str], Coroutine[Any, Any, bytes]]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message.

    `state` is "stored" (it can be read; `type` is the media type that its bytes say, `size` in bytes, `url`
    opens it for a time), "infected" or "failed" (`reason` says why in one word; see docs/bots.md), or None
    where files are not fetched at all. `scan` is "clean" or
    "not_scanned". `name` is what the sender calls it.
    """

    id: str | None = None
    type: str | None = None
    name: str | None = None
    url: str | None = None
    size: int | None = None
    state: str | None = None
    reason: str | None = None
    scan: str | None = None
    file: str | None = field(default=None, repr=False)
    """Its key in the storage."""
    reader: ReadFile | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], reader: ReadFile | None = None) -> Attachment:
        """From what `to_json` gives, or with 8x8's names `fileName` and `preSignedUrl`."""
        return cls(
            id=value.get("id"),
            type=value.get("type"),
            name=value.get("name") or value.get("fileName"),
            url=value.get("url") or value.get("preSignedUrl"),
            size=value.get("size"),
            state=value.get("state"),
            reason=value.get("reason"),
            scan=value.get("scan"),
            file=value.get("file"),
            reader=reader,
        )

    def to_json(self) -> dict[str, Any]:
        """{"id", "type", "name", "url"}, and of a file that was fetched "size", "state" and so on."""
        about = {
            "size": self.size,
            "state": self.state,
            "reason": self.reason,
            "scan": self.scan,
            "file": self.file,
        }
        return {
            "id": self.id,
            "type": self.type,
            "name": self.name,
            "url": self.url,
            **{name: value for name, value in about.items() if value is not None},
        }

    def read(self) -> Coroutine[Any, Any, bytes]:
        """The file's bytes: `content = await file.read()`. Raises FileUnavailable where it isn't stored."""
        if self.state != "stored" or self.file is None or self.reader is None:
            raise FileUnavailable(self.reason or "not_fetched")
        return self.reader(self.file)


@dataclass(frozen=True, slots=True)
class Message:
    """One message, click or card submit.

    `kind` is "text", "location" (a place, `data` as 8x8 tells it), "quick_reply" (one was chosen, a button
    clicked, or answered by its number), "card" (one was submitted), "interactive" (a choice on
    WhatsApp, RCS or Viber), "activity" (anything else 8x8 reports) or "start" (the conversation began without
    a message), or "inject" (a service gave it). `text` is "" where there is none, `payload` what the choice
    stands for, `data` what a card, an activity or a service carries. `user_id` and `session_id` are set where
    a service or a transformer gave them. `author` is "user"; among the messages of a handover also "agent".
    """

    text: str = ""
    payload: str | None = None
    kind: str = "text"
    attachments: tuple[Attachment, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    cards: tuple[Mapping[str, Any], ...] = ()
    author: str = "user"
    user_id: str | None = None
    session_id: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any], reader: ReadFile | None = None) -> Message:
        """From {"kind", "text", "payload", "data", "attachments", "cards"}; any may be missing or null.

        `reader` gives the bytes of its files.
        """
        data = value.get("data")
        attachments = value.get("attachments")
        cards = value.get("cards")
        return cls(
            value.get("text") or "",
            value.get("payload"),
            value.get("kind") or "text",
            tuple(Attachment.from_json(each, reader) for each in attachments or ()),
            copy_json(data) if data else {},
            tuple(copy_json(cards)) if cards else (),
            value.get("author") or "user",
            value.get("user_id"),
            value.get("session_id"),
        )

    def to_json(self) -> dict[str, Any]:
        """The form that `from_json` reads."""
        who = {"user_id": self.user_id, "session_id": self.session_id}
        return {
            **{name: value for name, value in who.items() if value is not None},
            "kind": self.kind,
            "text": self.text,
            "payload": self.payload,
            "data": copy_json(dict(self.data)),
            "attachments": [attachment.to_json() for attachment in self.attachments],
            "cards": [copy_json(dict(card)) for card in self.cards],
            "author": self.author,
        }
