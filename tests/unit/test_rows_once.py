"""Rows that are updated together: each once."""

from __future__ import annotations

import pytest

from app.conversation.store import Together

STATEMENT, COLUMNS = (
    "UPDATE dialog SET status = new.status FROM {rows}",
    {"dialog": "bigint", "status": "text"},
)


def test_a_row_is_not_updated_twice_in_one_statement() -> None:
    together = Together()
    together.update(
        STATEMENT, COLUMNS, [{"dialog": 1, "status": "running"}, {"dialog": 2, "status": "running"}]
    )
    with pytest.raises(AssertionError, match="a dialog is updated twice"):
        together.update(
            STATEMENT, COLUMNS, [{"dialog": 1, "status": "running"}, {"dialog": 1, "status": "completed"}]
        )
