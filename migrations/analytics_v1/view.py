"""A view as a list of columns: name, expression and what it means, side by side."""

# ruff: noqa: S608 - SQL and what its columns mean, a line each

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """One view. `columns` are (name, SQL expression, comment)."""

    name: str
    comment: str
    source: str
    columns: tuple[tuple[str, str, str], ...]

    def statements(self) -> Iterator[str]:
        """What makes the view and its comments."""
        columns = ",\n    ".join(f"{expression} AS {name}" for name, expression, _ in self.columns)
        yield f"CREATE VIEW {self.name} AS SELECT\n    {columns}\n{self.source}"
        yield f"COMMENT ON VIEW {self.name} IS {_quoted(self.comment)}"
        for name, _, comment in self.columns:
            yield f"COMMENT ON COLUMN {self.name}.{name} IS {_quoted(comment)}"


def count(table: str, condition: str) -> str:
    """A count as a scalar query: it costs nothing where the column isn't asked for."""
    return f"(SELECT count(*) FROM {table} WHERE {condition})"


def counted(endpoint: str, at: str) -> str:
    """Whether the endpoint's `collect_analytics` was on then.

    The first half is looked up once a query, and enough for endpoints that were never off.
    """
    return (
        f"({endpoint} <> ALL (ARRAY(SELECT u.endpoint FROM uncounted u)) "
        f"OR NOT EXISTS (SELECT 1 FROM uncounted u WHERE u.endpoint = {endpoint} AND u.since <= {at} "
        f"AND (u.until IS NULL OR u.until > {at})))"
    )


def seconds(start: str, end: str) -> str:
    """Seconds from one time to another."""
    return f"analytics_seconds({start}, {end})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
