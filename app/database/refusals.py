"""What the database refuses: whether that is the fault of a value that somebody passed."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

_CODES = ("22", "42")  # a value that can't be; a comparison of kinds that have none


def is_unfit(error: DBAPIError) -> bool:
    """Whether a value of the query is at fault, as told by the server (SQLSTATE) or by the driver."""
    state = str(getattr(error.orig, "sqlstate", "") or "")
    return state[:2] in _CODES or "invalid input for query argument" in str(error.orig)
