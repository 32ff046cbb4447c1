"""The Chat Gateway's REST calls.

Calls that change something return an Outcome and raise nothing but what the caller's own cancellation
brings; calls that read return what they read or raise RequestFailed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from app.endpoints import Endpoint
from app.errors import GatewayError
from app.gateway.multipart import Upload, multipart
from app.gateway.outcome import InDoubt, Outcome, Refused, Retry, SendResult, Sent, of_response
from app.gateway.pace import Paces
from app.gateway.transport import JSON, LOST, NOT_BEGUN, Answer, MayBegin, Target, Transport

#: Bytes of an answer that are read: to a request that changes something, and to one that reads.
SMALL, LARGE = 64 * 1024, 8 * 1024 * 1024


#: Seconds a request waits for its turn; one that would wait longer is tried again later.
LONGEST_PAUSE = 1.0


class RequestFailed(GatewayError):
    """The Chat Gateway did not answer a request; `outcome` tells how."""

    def __init__(self, outcome: Outcome) -> None:
        reason = "the answer is not usable" if isinstance(outcome, Sent) else outcome.reason
        super().__init__(f"The Chat Gateway did not answer: {reason}")
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class GatewayMessage:
    """A message as the gateway keeps it. `created_at` is None where it can't be read."""

    id: str | None
    text: str
    author_type: str | None
    created_at: datetime | None
    cards: tuple[dict[str, Any], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Interaction:
    """An interaction of a conversation, which 8x8's own Event Log is searched by."""

    id: str
    started_at: datetime | None
    ended_at: datetime | None


class GatewayClient:
    """All requests of one process. Each takes `timeout` seconds at most (the endpoint's, unless told).

    `may_begin` is asked right before a request is written, after all that it had to wait for.
    """

    def __init__(self, transport: Transport | None = None) -> None:
        self._transport = transport or Transport()
        self._targets: dict[str, tuple[Endpoint, Target]] = {}
        self._paces = Paces()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def send(
        self,
        endpoint: Endpoint,
        conversation: str,
        body: Mapping[str, Any],
        *,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> SendResult:
        """Send a message (see `outgoing.render`) to 8x8's conversation."""
        return await self._change(
            endpoint, b"POST", _path(conversation, "/messages"), body, timeout, may_begin
        )

    async def assign(
        self,
        endpoint: Endpoint,
        conversation: str,
        assignment: Mapping[str, Any],
        *,
        user: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        """Assign the conversation to a queue or a script: `{"type", "id"}`, with user data for the agent."""
        body: dict[str, Any] = {"assignment": assignment}
        if user is not None:
            body["user"] = user
        return await self._change(endpoint, b"PATCH", _path(conversation), body, timeout, may_begin)

    async def update_user(
        self,
        endpoint: Endpoint,
        conversation: str,
        user: Mapping[str, Any],
        *,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        """Change what the agent sees of the user: its fields and `additionalProperties`."""
        return await self._change(endpoint, b"PATCH", _path(conversation), {"user": user}, timeout, may_begin)

    async def post_agent_assignment(
        self,
        endpoint: Endpoint,
        conversation: str,
        webhook_id: str,
        *,
        max_total_minutes: int | None = None,
        user_timeout_minutes: int | None = None,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        """Ask that the bot gets the conversation back when the agent is done. Both limits *end* it."""
        configuration: dict[str, Any] = {"notifyChannelWebhookIfExists": "false"}
        if max_total_minutes is not None:
            configuration["maxTotalMinutes"] = max_total_minutes
        if user_timeout_minutes is not None:
            configuration["userTimeoutInMinutes"] = user_timeout_minutes
        body = {"type": "webhook", "id": webhook_id, "configuration": configuration}
        return await self._change(
            endpoint, b"POST", _path(conversation, "/post-agent-assignment"), body, timeout, may_begin
        )

    async def remove_user(
        self, endpoint: Endpoint, conversation: str, *, timeout: float | None = None
    ) -> Outcome:
        """End the conversation."""
        path = _path(conversation, "/participants/user")
        return await self._change(endpoint, b"PATCH", path, {"removed": True}, timeout)

    async def typing(self, endpoint: Endpoint, conversation: str, *, timeout: float | None = None) -> Outcome:
        """Show that the bot is typing."""
        return await self._change(
            endpoint, b"POST", _path(conversation, "/typing"), {"authorType": "bot"}, timeout
        )

    async def thinking(
        self, endpoint: Endpoint, conversation: str, *, seconds: int = 60, timeout: float | None = None
    ) -> Outcome:
        """Show that the bot is working, for 1 to 600 seconds at most."""
        body = {"authorType": "bot", "maxThinkingTimeSeconds": min(max(seconds, 1), 600)}
        return await self._change(endpoint, b"POST", _path(conversation, "/thinking"), body, timeout)

    async def read_receipt(
        self, endpoint: Endpoint, conversation: str, read_at: datetime, *, timeout: float | None = None
    ) -> Outcome:
        """Show that the bot has read everything up to `read_at`."""
        body = {"authorType": "bot", "readAt": int(read_at.timestamp() * 1000)}
        return await self._change(endpoint, b"POST", _path(conversation, "/read-receipt"), body, timeout)

    async def upload(
        self,
        endpoint: Endpoint,
        conversation: str,
        file: Upload,
        *,
        timeout: float | None = None,
    ) -> tuple[Outcome, str | None]:
        """Add a file to the conversation; 8x8's id of it, for messages to refer to, where it was Sent."""
        content, kind = multipart(file)
        path = _path(conversation, "/attachments")
        answer = await self._request(endpoint, b"POST", path, content, timeout, SMALL, kind=kind)
        if not isinstance(answer, Answer):
            return answer, None
        outcome = _outcome(answer)
        if not isinstance(outcome, Sent):
            return outcome, None
        identity = _identity(answer.body)
        if identity is None:
            return Refused(answer.status, "the answer tells no id of the file"), None
        return outcome, identity

    async def messages(
        self, endpoint: Endpoint, conversation: str, size: int = 50, *, timeout: float | None = None
    ) -> list[GatewayMessage]:
        """The newest `size` messages, newest first. Raises RequestFailed."""
        path = _path(conversation, f"/messages?sort=createdAt:desc&size={size}")
        return read_messages(await self._read(endpoint, path, timeout))

    async def conversation(
        self, endpoint: Endpoint, conversation: str, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """The conversation as the gateway gives it: `state`, `assignment`, `user`. Raises RequestFailed."""
        return await self._read(endpoint, _path(conversation), timeout)

    async def interactions(
        self, endpoint: Endpoint, conversation: str, *, timeout: float | None = None
    ) -> list[Interaction]:
        """What 8x8's Event Log knows the conversation by. Raises RequestFailed."""
        page = await self._read(endpoint, _path(conversation, "/interactions"), timeout)
        return read_interactions(page)

    async def _change(
        self,
        endpoint: Endpoint,
        method: bytes,
        path: str,
        body: Mapping[str, Any],
        timeout: float | None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        content = msgspec.json.encode(body)
        answer = await self._request(endpoint, method, path, content, timeout, SMALL, may_begin=may_begin)
        return _outcome(answer) if isinstance(answer, Answer) else answer

    async def _read(self, endpoint: Endpoint, path: str, timeout: float | None) -> dict[str, Any]:
        answer = await self._request(endpoint, b"GET", path, None, timeout, LARGE)
        if not isinstance(answer, Answer):
            raise RequestFailed(answer)
        outcome = _outcome(answer)
        if not isinstance(outcome, Sent):
            raise RequestFailed(outcome)
        if not answer.complete:
            raise RequestFailed(InDoubt(answer.status, "the answer broke off or is too big"))
        try:
            value = msgspec.json.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise RequestFailed(outcome) from None
        if not isinstance(value, dict):
            raise RequestFailed(outcome)
        return value

    async def _request(
        self,
        endpoint: Endpoint,
        method: bytes,
        path: str,
        content: bytes | None,
        timeout: float | None,
        limit: int,
        *,
        kind: bytes = JSON,
        may_begin: MayBegin | None = None,
    ) -> Answer | Retry | InDoubt:
        seconds = endpoint.deliveries.timeout if timeout is None else timeout
        pace = self._paces.of(endpoint)
        if pace is not None:
            may, wait = pace.take(LONGEST_PAUSE)
            if not may:
                return Retry(wait, None, "the pace set for this API key")
            await asyncio.sleep(wait)
        try:
            answer = await self._transport.request(
                self._target(endpoint),
                method,
                path,
                content,
                timeout=seconds,
                limit=limit,
                kind=kind,
                may_begin=may_begin,
            )
            if pace is not None and answer.status == 429:
                pace.slow_down()
            return answer
        except NOT_BEGUN as error:
            return Retry(None, None, type(error).__name__)
        except LOST as error:
            return InDoubt(None, type(error).__name__)

    def _target(self, endpoint: Endpoint) -> Target:
        known = self._targets.get(endpoint.name)
        if known is None or known[0] is not endpoint:  # the file was read again: perhaps another key
            known = self._targets[endpoint.name] = endpoint, Target.of(endpoint)
        return known[1]


def read_messages(page: Mapping[str, Any]) -> list[GatewayMessage]:
    """The messages of a HAL page, newest first whatever order it came in; what isn't one is left out."""
    embedded = page.get("_embedded")
    found = (embedded if isinstance(embedded, dict) else page).get("messages")
    messages = [_message(item) for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    if all(message.created_at for message in messages):
        messages.sort(key=lambda message: message.created_at or datetime.min, reverse=True)
    return messages


def read_interactions(page: Mapping[str, Any]) -> list[Interaction]:
    """The interactions of a HAL page; what isn't one is left out."""
    embedded = page.get("_embedded")
    found = (embedded if isinstance(embedded, dict) else page).get("interactions")
    return [
        Interaction(str(item["id"]), _time(item.get("startTime")), _time(item.get("endTime")))
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, dict) and isinstance(item.get("id"), str | int)
    ]


def _time(value: object) -> datetime | None:
    return None if value is None else _moment(value)


def _message(item: Mapping[str, Any]) -> GatewayMessage:
    author, text, identity = item.get("author"), item.get("text"), item.get("id")
    kind = author.get("type") if isinstance(author, dict) else item.get("authorType")
    return GatewayMessage(
        id=str(identity) if isinstance(identity, str | int) else None,
        text=text if isinstance(text, str) else "",
        author_type=kind.lower() if isinstance(kind, str) else None,
        created_at=_moment(item.get("createdAt")),
        cards=_objects(item.get("cards")),
        attachments=_objects(item.get("attachments")),
    )


def _moment(value: object) -> datetime | None:
    """An ISO 8601 time, or milliseconds since 1970."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _objects(value: object) -> tuple[dict[str, Any], ...]:
    items: Sequence[object] = value if isinstance(value, list) else ()
    return tuple(item for item in items if isinstance(item, dict))


def _identity(body: bytes) -> str | None:
    """The `id` of what was made."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    found = value.get("id") if isinstance(value, dict) else None
    return (
        str(found) if isinstance(found, str | int) and not isinstance(found, bool) and found != "" else None
    )


def _outcome(answer: Answer) -> Outcome:
    return of_response(answer.status, answer.retry_after, answer.body, now=datetime.now(UTC))


def _path(conversation: str, rest: str = "") -> str:
    return f"/conversations/{quote(conversation, safe='')}{rest}"
