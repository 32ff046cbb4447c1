"""How a request to the Chat Gateway ended, as far as it can be known.

The difference that matters is between *not done* (Retry) and *perhaps done* (InDoubt): a message has no
idempotency key, so sending again what was perhaps done may show it to the user twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: A Retry-After beyond this many seconds is cut to it.
LONGEST_WAIT = 3600.0
_MAX_PARTS = 8


@dataclass(frozen=True, slots=True)
class Sent:
    """Accepted (2xx)."""

    status: int


@dataclass(frozen=True, slots=True)
class Retry:
    """Not done: try again, after `after` seconds where the gateway said so. No status: it was not reached."""

    after: float | None
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Perhaps done: the answer was lost, or it was a 5xx."""

    status: int | None
    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401 or 403: nothing of this endpoint will be taken until its key changes."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Any other 4xx: this request will never be taken."""

    status: int
    reason: str


Outcome = Sent | Retry | InDoubt | Unauthorized | Refused
SendResult = Outcome


def of_response(status: int, retry_after: str | None, body: bytes, *, now: datetime) -> Outcome:
    """What an answer means. `body` only lends its error codes and field names to the reason."""
    if 200 <= status < 300:
        return Sent(status)
    reason = describe(status, body)
    if status in (401, 403):
        return Unauthorized(status, reason)
    if status in (408, 425, 429):
        return Retry(wait(retry_after, now=now), status, reason)
    if status >= 500:
        return InDoubt(status, reason, wait(retry_after, now=now))
    if status < 400:  # a redirect: something stands between us and the gateway, perhaps for a while
        return Retry(None, status, reason)
    return Refused(status, reason)


def wait(retry_after: str | None, *, now: datetime) -> float | None:
    """Seconds a Retry-After header (a number or an HTTP date) asks for, within LONGEST_WAIT; else None."""
    text = (retry_after or "").strip()
    if not text:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII):
        return min(float(text), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT)


_code = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
_field = re.compile(r"<{0,2}([A-Za-z][A-Za-z0-9_.\[\]-]{0,63})>{0,2}:", re.ASCII)
_reference = re.compile(r"[0-9a-fA-F-]{8,64}", re.ASCII)


def describe(status: int, body: bytes) -> str:
    """`HTTP 400 invalid_queue (webHookId), reference 98e9…`: codes and field names, never a text.

    Texts of errors are left out because they repeat what was sent.
    """
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        problem = None
    if not isinstance(problem, dict):
        return f"HTTP {status}"
    codes: list[str] = []
    fields: list[str] = []
    _collect(problem.get("errors"), codes, fields)
    _collect(problem.get("validations"), codes, fields)
    _collect({"code": problem.get("code", problem.get("ErrorCode"))}, codes, fields)
    reason = " ".join([f"HTTP {status}", *dict.fromkeys(codes[:_MAX_PARTS])])
    if fields:
        reason += f" ({', '.join(dict.fromkeys(fields[:_MAX_PARTS]))})"
    reference = problem.get("referenceId")
    if isinstance(reference, str) and _reference.fullmatch(reference):
        reason += f", reference {reference}"
    return reason


def _collect(errors: object, codes: list[str], fields: list[str]) -> None:
    """Codes and field names of errors, which come as an object, as a list of them, or as strings."""
    for error in errors if isinstance(errors, list) else [errors]:
        if isinstance(error, str):
            if found := _field.match(error):
                fields.append(found[1])
        elif isinstance(error, dict):
            code, name = error.get("code"), error.get("field")
            if isinstance(code, str) and _code.fullmatch(code):
                codes.append(code)
            if isinstance(name, str) and _code.fullmatch(name):
                fields.append(name)
