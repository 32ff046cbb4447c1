"""From when on a filter asks for rows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.analytics.views import VIEWS
from app.odata.filters import condition, earliest

_EARLY, _LATE = "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        (f"received_at ge {_EARLY}", 1),
        (f"received_at gt {_EARLY} and type eq 'MESSAGE'", 1),
        (f"{_EARLY} le received_at and ({_LATE} lt received_at and late eq false)", 5),
        (f"received_at eq {_LATE}", 5),
        (f"received_at lt {_LATE}", None),
        (f"{_EARLY} ge received_at", None),
        (f"received_at ge {_EARLY} or type eq 'MESSAGE'", None),
        (f"not (received_at ge {_EARLY})", None),
        (f"received_at ne {_EARLY}", None),
        (f"sent_at ge {_EARLY}", None),
        ("received_at ge sent_at", None),
        ("year(received_at) ge 2026", None),
    ],
)
def test_a_filter_says_from_when_on_rows_are_asked_for_or_nothing(text: str, day: int | None) -> None:
    table = VIEWS["Events"].table
    expected = None if day is None else datetime(2026, 1, day, tzinfo=UTC)
    assert earliest(condition(table, text), table.c.received_at) == expected
