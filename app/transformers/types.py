"""What transformers are given and may give back.

from app.transformers.types import InputEvent

async def shorten(event: InputEvent) -> dict[str, object] | None:
    event.storage["seen"] = event.storage.get("seen", 0) + 1
    return {"text": event.text[:100]}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.endpoints import Endpoint


@dataclass(frozen=True, slots=True)
class EndpointInfo:
    """The endpoint, without its secrets."""

    name: str
    flow: str
    locale: str | None


def endpoint_info(endpoint: Endpoint) -> EndpointInfo:
    """What a transformer gets to know of an endpoint."""
    return EndpointInfo(endpoint.name, endpoint.flow, endpoint.locale)


@dataclass(frozen=True, slots=True)
class InputEvent:
    """For `input`, before the bot. Give back a mapping with userId, sessionId, text or data (or a Changed).

    What is missing keeps the original; something falsy drops the input.
    """

    endpoint: EndpointInfo
    payload: Mapping[str, Any]
    """The event as it came."""
    message: Mapping[str, Any]
    """The input as the bot would get it: kind, text, payload, data, attachments, cards."""
    user_id: str | None
    session_id: str
    text: str
    data: Mapping[str, Any]
    storage: dict[str, Any] = field(default_factory=dict)
    """Kept for the session, shared by its transformers: JSON values."""


@dataclass(frozen=True, slots=True)
class OutputEvent:
    """For `output`, for each output of the bot. Give back what is sent: a mapping in 8x8's form.

    Something falsy drops the output.
    """

    endpoint: EndpointInfo
    output: Mapping[str, Any]
    """What the bot said: text, quick_replies, card, raw."""
    rendered: Mapping[str, Any]
    """The body as it would be sent to 8x8."""
    user_id: str | None
    session_id: str
    storage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnOutputs:
    """For `execution_finished`: all outputs of a turn, which have waited for its end.

    Give back a list of what is sent instead, in 8x8's form; something falsy sends nothing.
    """

    endpoint: EndpointInfo
    outputs: tuple[Mapping[str, Any], ...]
    rendered: tuple[Mapping[str, Any], ...]
    user_id: str | None
    session_id: str
    storage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallRequest:
    """For `inject` and `notify`: what a service posted. Give back userId or sessionId, text, data.

    What is missing is the request's own; something falsy drops the request. `storage` is that of the session
    which the request itself names, if it is open; what is put there reaches it in order, with the event.
    """

    endpoint: EndpointInfo
    kind: str
    payload: Mapping[str, Any]
    storage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changed:
    """What input, inject and notify give back, for those who like types; None keeps the original."""

    user_id: str | None = None
    session_id: str | None = None
    text: str | None = None
    data: Mapping[str, Any] | None = None
