"""What an event means to a conversation.

`interpret` turns a stored payload into one of a few frozen classes. It never raises: what is not understood
is Unknown. A *message* is the JSON form of what a bot gets as `Message`:

    {"kind": "text" | "location" | "quick_reply" | "card" | "interactive" | "activity",
     "text": str, "payload": str | None, "data": dict | None,
     "attachments": [{"id", "type", "url", "name"}], "cards": [{"contentType", "content"}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.gateway.rendering.cards import POSTBACK
from app.gateway.storable import Json

Object = dict[str, Any]

#: The kind of a message that stands for an activity which 8x8 does not document.
ACTIVITY = "activity"


@dataclass(frozen=True, slots=True)
class UserInput:
    """The user wrote, chose a quick reply or used a card."""

    message: Object

    @property
    def is_activity(self) -> bool:
        """Whether 8x8 documents nothing of the sort: the user's doing perhaps, or a report of what happened.

        A bot that waits may see it, but it answers nothing, and nobody is owed an answer.
        """
        return bool(self.message["kind"] == ACTIVITY)


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """A human agent wrote."""

    agent_id: str | None
    message: Object


@dataclass(frozen=True, slots=True)
class Echo:
    """A message of the bot, coming back."""

    text: str
    message: Object


@dataclass(frozen=True, slots=True)
class StateChange:
    """CONVERSATION_UPDATE. What the event didn't tell is None; `state` is lower case, else as it came."""

    state: str | None
    assignment: Object | None
    user: Object | None
    msisdn: str | None
    channel: str | None


@dataclass(frozen=True, slots=True)
class Queued:
    """The conversation waits for an agent."""

    queue_id: str | None
    queue_name: str | None


@dataclass(frozen=True, slots=True)
class MemberChange:
    """Someone but the bot joined or left."""

    member_type: str | None
    change: str | None
    id: str | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """The agent moved the conversation to another queue."""


@dataclass(frozen=True, slots=True)
class Typing:
    """Who is typing now: {"id", "type"} each; nobody = stopped."""

    users: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadReceipts:
    """Who read until when: {"timestamp": ms, "users": [{"id", "type"}]} each."""

    receipts: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something not documented; `type` is the event's."""

    type: str | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Injected:
    """A service gave the bot an input: a message of kind inject. `storage`: what its transformer kept."""

    message: Object
    storage: Object | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A service has something for the user: `text`, or `data` in 8x8's own form, or both."""

    text: str
    data: Object | None = None
    storage: Object | None = None


Meaning = (
    UserInput
    | Injected
    | Notice
    | AgentMessage
    | Echo
    | StateChange
    | Queued
    | MemberChange
    | Transfer
    | Typing
    | ReadReceipts
    | Unknown
)


def interpret(payload: Mapping[str, Json]) -> Meaning:
    """What the event with this payload means."""
    kind = _text(payload.get("eventType"))
    data = _object(payload.get("data")) or {}
    match kind:
        case "MESSAGE":
            return _message(data)
        case "ACTIVITY":
            return _activity(data)
        case "CONVERSATION_UPDATE":
            state = _text(data.get("state"))
            return StateChange(
                state=state.lower() if state else None,
                assignment=_object(data.get("assignment")),
                user=_object(data.get("user")),
                msisdn=_text(data.get("msisdn")),
                channel=_text(data.get("channel")),
            )
        case "QUEUED":
            return Queued(_text(data.get("queueId")), _text(data.get("queueName")))
        case "MEMBERS_CHANGED":
            return MemberChange(
                _lower(data.get("memberType")), _lower(data.get("change")), _text(data.get("id"))
            )
        case "TRANSFER":
            return Transfer()
        case "PARLEY_INJECT":
            return _injected(data)
        case "PARLEY_NOTIFY":
            text, own = _text(data.get("text")) or "", _object(data.get("data"))
            return Notice(text, own or None, _object(data.get("storage")))
        case _:
            return Unknown(kind)


def _injected(data: Object) -> Injected:
    message = _content("inject", text=_text(data.get("text")) or "", data=_object(data.get("data")))
    who = {"user_id": _text(data.get("userId")), "session_id": _text(data.get("sessionId"))}
    told = {name: value for name, value in who.items() if value is not None}
    return Injected({**message, **told}, _object(data.get("storage")))


def _message(data: Object) -> Meaning:
    sender = _object(data.get("sender")) or {}
    text = _text(data.get("text")) or ""
    message = _content(
        "text",
        text=text,
        attachments=[_attachment(item) for item in _objects(data.get("attachments"))],
        cards=list(_objects(data.get("cards"))),
    )
    places = [card for card in message["cards"] if _lower(card.get("contentType")) == "location"]
    if places and not text:
        message = {**message, "kind": "location", "data": _object(places[0].get("content"))}
    if data.get("isEcho") is True:
        return Echo(text, message)
    match _lower(sender.get("type")):
        case "user":
            return UserInput(message)
        case "agent":
            return AgentMessage(_text(sender.get("id")), message)
        case "bot":
            return Echo(text, message)
        case _:
            return Unknown("MESSAGE")


def _activity(data: Object) -> Meaning:
    name = _text(data.get("name"))
    value = data.get("value")
    match name:
        case "typing":
            return Typing(_objects((_object(value) or {}).get("users")))
        case "read-receipts":
            return ReadReceipts(_objects(value))
        case "quickReply/action":
            return UserInput(_quick_reply(value))
        case "adaptiveCard/action":
            return UserInput(_card(value))
        case "interactive/reply":
            return UserInput(_interactive(value))
        case None:
            return Unknown("ACTIVITY")
        case _:
            return UserInput(_content(ACTIVITY, data={"name": name, "value": value}))


def _quick_reply(value: object) -> Object:
    """`{type: postback, data: {title, payload}}`; the payload is also seen as `postback` or as bare data."""
    value = _object(value) or {"data": value}
    inner = value.get("data")
    chosen = _object(inner)
    if chosen is None:
        payload, title = _text(inner), _text(value.get("title"))
    else:
        found = next((chosen[key] for key in ("payload", "postback") if chosen.get(key) is not None), None)
        payload, title = _string(found), _text(chosen.get("title")) or _text(value.get("title"))
    text = title if title is not None else payload or ""
    return _content("quick_reply", text=text, payload=payload, data=chosen)


def _card(value: object) -> Object:
    """`{type: Action.Submit, data: {…}}`; data that is no object is kept as `{"value": data}`.

    A button of Parley's own cards (see rendering/cards.py) is the quick reply that it stands for.
    """
    value = _object(value) or {}
    inner = value.get("data")
    data = _object(inner)
    own = _object(data.get(POSTBACK)) if data else None
    if own is not None and _text(own.get("title")) is not None:
        return _quick_reply({"type": "postback", "data": own})
    if data is None and inner is not None:
        data = {"value": inner}
    return _content("card", payload=_text(value.get("type")), data=data)


def _interactive(value: object) -> Object:
    """`{type: button_reply, button_reply: {id, title}}`, also `list_reply` and the like."""
    value = _object(value) or {}
    reply = _object(value.get(_text(value.get("type")) or ""))
    if reply is None:
        reply = next((item for item in value.values() if isinstance(item, dict)), value)
    payload, title = _text(reply.get("id")), _text(reply.get("title"))
    return _content(
        "interactive", text=title if title is not None else payload or "", payload=payload, data=reply
    )


def _content(
    kind: str,
    *,
    text: str = "",
    payload: str | None = None,
    data: Object | None = None,
    attachments: list[Object] | None = None,
    cards: list[Object] | None = None,
) -> Object:
    return {
        "kind": kind,
        "text": text,
        "payload": payload,
        "data": data,
        "attachments": attachments or [],
        "cards": cards or [],
    }


def _attachment(item: Object) -> Object:
    return {
        "id": _text(item.get("id")),
        "type": _text(item.get("type")),
        "url": _text(item.get("preSignedUrl")) or _text(item.get("url")),
        "name": _text(item.get("fileName")) or _text(item.get("name")),
    }


def _object(value: object) -> Object | None:
    return value if isinstance(value, dict) else None


def _objects(value: object) -> tuple[Object, ...]:
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    """A string; a number as one; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def _lower(value: object) -> str | None:
    text = _text(value)
    return text.lower() if text is not None else None


def _string(value: object) -> str | None:
    """A string as it is; other JSON as its text, so that a structured payload isn't lost."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
