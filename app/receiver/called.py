"""What a service asks for: read from its request, or made of it by the endpoint's transformer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.conversation.privacy.masks import leaves
from app.endpoints import Endpoint
from app.errors import EventRefused
from app.sensitive import Sensitive, guard, guarding
from app.transformers.calling import Report, TransformerFailed, call_transformer, note_failure
from app.transformers.rules import LONGEST_ID, LONGEST_TEXT, Result, ResultRefused, read_result, read_storage
from app.transformers.types import CallRequest, endpoint_info

Kind = Literal["inject", "notify"]

_NAMES = ("userId", "sessionId", "text", "data")
#: What 8x8 takes of a message. Who writes it, and in which conversation, is not the service's to say.
_OF_MESSAGE = ("text", "attachments", "cards", "authorType")


@dataclass(frozen=True, slots=True)
class Called:
    """`session_id` is 8x8's conversation id; `user_id` the contact's user id or number."""

    user_id: str | None = None
    session_id: str | None = None
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    storage: dict[str, Any] | None = None
    """What the transformer kept for the session; None: nothing new."""

    def to_json(self) -> dict[str, Any]:
        """The event's data."""
        own = {"userId": self.user_id, "sessionId": self.session_id, "text": self.text, "data": self.data}
        return own if self.storage is None else {**own, "storage": self.storage}


def read_fields(kind: Kind, payload: dict[str, object]) -> Called:
    """The request's own fields. Raises EventRefused (400) that names the field which is wrong."""
    _only(payload, _NAMES, "field")
    user_id, session_id, text, data = (payload.get(name) for name in _NAMES)
    for name, value in (("userId", user_id), ("sessionId", session_id)):
        if value is not None and (not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID):
            raise EventRefused(400, f"{name} must be a text of 1 to {LONGEST_ID} characters")
    if text is not None and (not isinstance(text, str) or len(text) > LONGEST_TEXT):
        raise EventRefused(400, f"text must be a text of at most {LONGEST_TEXT:,} characters")
    if data is not None and not isinstance(data, dict):
        raise EventRefused(400, "data must be an object")
    if kind == "notify" and isinstance(data, dict):
        _only(data, _OF_MESSAGE, "key of a message")
    if user_id is None and session_id is None:
        raise EventRefused(400, "sessionId or userId is needed")
    if not text and not data:
        raise EventRefused(400, "text or data is needed")
    return Called(
        user_id if isinstance(user_id, str) else None,
        session_id if isinstance(session_id, str) else None,
        text if isinstance(text, str) else "",
        data if isinstance(data, dict) else {},
    )


def _only(values: dict[str, Any], known: Sequence[str], what: str) -> None:
    for name in values:
        if name not in known:
            raise EventRefused(400, f"Unknown {what} {name[:40]!r}; known are {', '.join(known)}")


def named(endpoint: Endpoint, kind: str) -> str | None:
    """The transformer of such requests, if there is one."""
    return endpoint.transformers.inject if kind == "inject" else endpoint.transformers.notify


async def transformed(
    kind: Kind,
    path: str,
    endpoint: Endpoint,
    payload: dict[str, object],
    storage: dict[str, Any],
    *,
    report: Report,
) -> Called | None:
    """What the transformer makes of the request; None: it drops it.

    Where it fails the request stands as it is, or is refused with 500 (`abort_on_error`).
    """
    request = CallRequest(endpoint_info(endpoint), kind, copy.deepcopy(payload), copy.deepcopy(storage))
    try:
        with _guarding(endpoint, [payload, storage]):
            given = await call_transformer(endpoint, kind, path, request, report=report)
        result = read_result(given)
        kept = read_storage(request.storage)
    except TransformerFailed as error:
        return _failed(kind, endpoint, payload, error)
    except ResultRefused as error:
        note_failure(endpoint, kind, path, str(error))
        return _failed(kind, endpoint, payload, error)
    if result is None:
        return None
    called = _merged(kind, payload, result)
    return called if kept == storage else replace(called, storage=kept)


@contextmanager
def _guarding(endpoint: Endpoint, values: Any) -> Iterator[None]:
    """What the transformer logs is masked, where the endpoint wants that."""
    before = guarding()
    if endpoint.mask_sensitive_logging:
        sensitive = Sensitive()
        sensitive.add(leaves(values))
        guard(sensitive)
    try:
        yield
    finally:
        guard(before)


def _failed(kind: Kind, endpoint: Endpoint, payload: dict[str, object], error: Exception) -> Called:
    if endpoint.transformers.abort_on_error:
        raise EventRefused(500, f"The {kind} transformer failed") from error
    return read_fields(kind, payload)


def _merged(kind: Kind, payload: dict[str, object], result: Result) -> Called:
    """The transformer's values; what it left out is the request's own."""
    news = {
        "userId": result.user_id,
        "sessionId": result.session_id,
        "text": result.text,
        "data": result.data,
    }
    own = {name: payload.get(name) for name in _NAMES}
    return read_fields(kind, {**own, **{name: value for name, value in news.items() if value is not None}})
