"""What an answer of the Chat Gateway means."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.gateway.outcome import (
    LONGEST_WAIT,
    InDoubt,
    Outcome,
    Refused,
    Retry,
    Sent,
    Unauthorized,
    describe,
    of_response,
    wait,
)

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Sent) for status in (200, 201, 202, 204)),
        *((status, Retry) for status in (302, 408, 425, 429)),
        *((status, InDoubt) for status in (500, 502, 503, 504)),
        *((status, Unauthorized) for status in (401, 403)),
        *((status, Refused) for status in (400, 404, 409, 422)),
    ],
)
def test_a_status_is_classified(status: int, kind: type[Outcome]) -> None:
    assert isinstance(of_response(status, None, b"", now=NOW), kind)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("7", 7.0), (" 0 ", 0.0), ("1.5", 1.5), ("999999999", LONGEST_WAIT)),
        *((None, None), ("", None), ("soon", None), ("-3", None), ("٣", None)),
        ("Wed, 01 May 2024 12:00:30 GMT", 30.0),
        ("Wed, 01 May 2024 11:00:00 GMT", 0.0),
        ("Wed, 99 May 2024 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert wait(header, now=NOW) == seconds


def test_retry_after_is_kept_where_one_may_wait() -> None:
    assert of_response(429, "3", b"", now=NOW) == Retry(3.0, 429, "HTTP 429")
    assert of_response(503, "3", b"", now=NOW) == InDoubt(503, "HTTP 503", 3.0)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ({"errors": [{"code": "invalid_queue", "message": "my secret"}]}, "HTTP 400 invalid_queue"),
        ({"errors": {"code": "invalid_json_object", "message": "s"}}, "HTTP 400 invalid_json_object"),
        ({"errors": ["<<name>>: May not be empty."]}, "HTTP 400 (name)"),
        ({"errors": ["the user said hello"]}, "HTTP 400"),
        ({"validations": [{"field": "webHookId", "value": "45", "code": "bad"}]}, "HTTP 400 bad (webHookId)"),
        ({"ErrorCode": "invalid_request", "Error": "text"}, "HTTP 400 invalid_request"),
        ({"errors": [{"code": "my secret text"}]}, "HTTP 400"),
        ({"message": "m", "referenceId": "98e9da1f69f06d90"}, "HTTP 400, reference 98e9da1f69f06d90"),
        ({"errors": None, "validations": 3, "code": []}, "HTTP 400"),
        ([], "HTTP 400"),
    ],
)
def test_a_reason_holds_codes_and_field_names_but_no_text(problem: object, reason: str) -> None:
    assert describe(400, json.dumps(problem).encode()) == reason


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_problem_is_no_problem(body: bytes) -> None:
    assert describe(500, body) == "HTTP 500"
