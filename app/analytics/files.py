"""Views as files: CSV, JSON lines or Parquet, a batch of rows at a time however many there are."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import IO, Any, Protocol

import msgspec
from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import BigInteger, Boolean, DateTime, Double

from app.analytics.views import View
from app.errors import ConfigurationError

#: Rows read and written at a time.
BATCH = 2000

Rows = Sequence[Sequence[Any]]


class Writer(Protocol):
    """A file being written."""

    def write(self, rows: Rows) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


@dataclass(frozen=True)
class Wanted:
    """Which rows: of this view, these endpoints (None: all) and this span of its main time."""

    view: View
    since: datetime | None = None
    until: datetime | None = None
    endpoints: Sequence[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL."""
        table, made = self.view.table, []
        if self.view.at is not None and self.since is not None:
            made.append(table.c[self.view.at] >= self.since)
        if self.view.at is not None and self.until is not None:
            made.append(table.c[self.view.at] < self.until)
        if self.endpoints is not None:
            made.append(table.c.endpoint.in_(self.endpoints))
        return made


async def total(engine: AsyncEngine, wanted: Wanted) -> int:
    """How many rows there are."""
    query = select(func.count()).select_from(wanted.view.table).where(*wanted.conditions())
    async with engine.connect() as connection:
        return int((await connection.execute(query)).scalar_one())


async def write(
    engine: AsyncEngine, wanted: Wanted, writer: Writer, *, on_rows: Callable[[int], None] | None = None
) -> int:
    """Write all rows in the order of their key; how many. `on_rows` is told of each batch."""
    written = 0
    async for rows in _batches(engine, wanted):
        writer.write(rows)
        written += len(rows)
        if on_rows is not None:
            on_rows(len(rows))
    writer.close()
    return written


async def _batches(engine: AsyncEngine, wanted: Wanted) -> AsyncIterator[Rows]:
    view = wanted.view
    query = (
        select(view.table).where(*wanted.conditions()).order_by(*(view.table.c[name] for name in view.key))
    )
    async with engine.connect() as connection:
        result = await connection.stream(query, execution_options={"yield_per": BATCH})
        async for rows in result.partitions():
            yield rows


class CsvWriter:
    """CSV with a header, UTF-8, times in ISO 8601, true and false; what isn't there is empty."""

    def __init__(self, table: Table, file: IO[bytes]) -> None:
        self._file = file
        self._write([table.c.keys()])

    def write(self, rows: Rows) -> None:
        """Append rows."""
        self._write([[_cell(value) for value in row] for row in rows])

    def _write(self, rows: Rows) -> None:
        text = StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._file.write(text.getvalue().encode())

    def close(self) -> None:
        """Finish the file."""
        self._file.flush()


class JsonLinesWriter:
    """A JSON object for each row."""

    def __init__(self, table: Table, file: IO[bytes]) -> None:
        self._file, self._names = file, table.c.keys()

    def write(self, rows: Rows) -> None:
        """Append rows."""
        encode = msgspec.json.encode
        lines = [encode({n: _plain(v) for n, v in zip(self._names, row, strict=True)}) for row in rows]
        self._file.write(b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.flush()


class ParquetWriter:
    """Parquet with the columns' own types, times in UTC. Needs pyarrow (`pip install parley[parquet]`)."""

    def __init__(self, table: Table, file: IO[bytes]) -> None:
        need_pyarrow()
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        kinds = {
            BigInteger: arrow.int64(),
            Boolean: arrow.bool_(),
            DateTime: arrow.timestamp("us", tz="UTC"),
            Double: arrow.float64(),
        }
        self._arrow = arrow
        self._schema = arrow.schema(
            [(column.name, kinds.get(type(column.type), arrow.string())) for column in table.c]
        )
        self._text = [not isinstance(column.type, tuple(kinds)) for column in table.c]
        self._writer = parquet.ParquetWriter(file, self._schema)

    def write(self, rows: Rows) -> None:
        """Append rows as a row group."""
        columns = [
            [None if value is None else str(value) if text else value for value in column]
            for text, column in zip(self._text, zip(*rows, strict=True), strict=True)
        ]
        arrays = [
            self._arrow.array(column, type=field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def need_pyarrow() -> None:
    """Raise ConfigurationError where what writes Parquet is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "Parquet needs pyarrow: install Parley with its extra `parquet`, or `pip install pyarrow`"
        ) from None


WRITERS: dict[str, Callable[[Table, IO[bytes]], Writer]] = {
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value
