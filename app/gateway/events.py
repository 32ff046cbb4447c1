"""A webhook body as a typed event.

Lenient on purpose: types and fields that are not documented are kept, never refused. Only what is no event
at all (not JSON, not an object, no `eventType`) is. What an event means is told by `interpret`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from app.errors import EventRefused
from app.gateway.meaning import (
    AgentMessage,
    Echo,
    Meaning,
    MemberChange,
    Queued,
    ReadReceipts,
    StateChange,
    Transfer,
    Typing,
    Unknown,
    UserInput,
    interpret,
)
from app.gateway.storable import DEEPEST, Json, storable, storable_text

__all__ = [
    "KNOWN_TYPES",
    "VERIFY",
    "AgentMessage",
    "Echo",
    "Json",
    "Meaning",
    "MemberChange",
    "ParsedEvent",
    "Queued",
    "ReadReceipts",
    "StateChange",
    "Transfer",
    "Typing",
    "Unknown",
    "UserInput",
    "interpret",
    "parse",
    "storable",
]

VERIFY = "WEB_HOOK_VERIFY"
KNOWN_TYPES = frozenset(
    {VERIFY, "CONVERSATION_UPDATE", "QUEUED", "MEMBERS_CHANGED", "TRANSFER", "MESSAGE", "ACTIVITY"}
)

#: A type longer than this is cut, a conversation id longer than this is none (the index has a limit).
LONGEST_TYPE = 200
LONGEST_ID = 512

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_TIME = 253_402_300_800_000  # the year 10000, in ms since 1970
_suspicious = re.compile(rb"\\u|\d{19}")
_digits = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """One webhook body. `payload` is the whole of it, as JSONB accepts it."""

    type: str
    conversation_id: str | None
    timestamp: datetime | None
    payload: dict[str, Json]

    @property
    def activity(self) -> str | None:
        """The name of an ACTIVITY: `typing`, `quickReply/action`, …"""
        if self.type != "ACTIVITY":
            return None
        data = self.payload.get("data")
        name = data.get("name") if isinstance(data, dict) else None
        return name if isinstance(name, str) else None

    @property
    def is_echo(self) -> bool:
        """Whether it is the bot's own message coming back."""
        data = self.payload.get("data")
        return self.type == "MESSAGE" and isinstance(data, dict) and data.get("isEcho") is True

    def encoded(self) -> str:
        """The payload as JSON text that PostgreSQL takes for JSONB."""
        return msgspec.json.encode(self.payload).decode()


def parse(body: bytes) -> ParsedEvent:
    """The event in a webhook body. Raises EventRefused (400) for what is no event."""
    payload = _payload(body)
    kind = payload.get("eventType")
    if not isinstance(kind, str) or not kind:
        raise EventRefused(400, "Not an event: eventType is missing")
    return ParsedEvent(
        type=kind[:LONGEST_TYPE],
        conversation_id=_identity(payload.get("conversationId")),
        timestamp=moment(payload.get("timestamp")),
        payload=payload,
    )


def moment(value: object) -> datetime | None:
    """Milliseconds since 1970 (a number, or digits in a string) as a time; None for anything else."""
    if isinstance(value, str) and _digits.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _END_OF_TIME:
        return None
    return _EPOCH + timedelta(milliseconds=int(value))


def _identity(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        return None
    return value


def _payload(body: bytes) -> dict[str, Json]:
    """The body as a storable object.

    The ordinary body is decoded once, by the fast decoder; only what could hold something that
    PostgreSQL refuses is looked through.
    """
    harmless = body.count(b"{") + body.count(b"[") <= DEEPEST and not _suspicious.search(body)
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value, harmless = _lenient(body), False
    if not isinstance(value, dict):
        raise EventRefused(400, "Not an event: the body is not a JSON object")
    checked = value if harmless else storable(value)
    assert isinstance(checked, dict)
    return checked


def _lenient(body: bytes) -> object:
    """JSON as loosely as Python reads it; a byte that isn't UTF-8 costs that character, not the event."""
    text = body.decode("utf-8-sig", errors="replace")
    try:
        return json.loads(
            text, strict=False, parse_int=_integer, parse_float=_number, parse_constant=storable_text
        )
    except (ValueError, RecursionError):
        raise EventRefused(400, "Not an event: the body is not JSON") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < 19 else digits


def _number(digits: str) -> float | str:
    value = float(digits)
    return value if value - value == 0 else digits
