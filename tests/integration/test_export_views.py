"""Views as files: all rows, of the right types, in little memory."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.files import WRITERS, CsvWriter, JsonLinesWriter, ParquetWriter, Wanted, total, write
from app.analytics.views import VIEWS
from app.commands import export
from app.errors import ConfigurationError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def filled(engine: AsyncEngine, number: int = 10) -> None:
    """Conversations an hour apart, the last one now; every third of endpoint sales."""
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO conversation (endpoint, external_id, channel, created_at) "
                "SELECT CASE WHEN n % 3 = 0 THEN 'sales' ELSE 'support' END, "
                "'ID-' || n || ' \"ü,' || chr(10), "
                "CASE WHEN n % 2 = 0 THEN 'SMS' END, "
                "CAST(:now AS timestamptz) - make_interval(hours => CAST(n AS int)) "
                "FROM generate_series(0, CAST(:most AS int) - 1) n"
            ),
            {"now": NOW, "most": number},
        )


async def test_csv_holds_every_row_and_reads_back(engine: AsyncEngine) -> None:
    await filled(engine)
    file = io.BytesIO()
    wanted = Wanted(VIEWS["Conversations"])
    assert (
        await write(engine, wanted, CsvWriter(wanted.view.table, file)) == 10 == await total(engine, wanted)
    )
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode(), newline="")))
    assert [row["external_id"] for row in rows] == [f'ID-{n} "ü,\n' for n in range(10)]
    assert rows[0]["started_at"] == "2026-01-31T12:00:00+00:00"
    assert rows[0]["channel"] == "SMS" and rows[1]["channel"] == ""
    assert rows[0]["is_test"] == "false"
    assert list(rows[0])[:4] == ["conversation_id", "endpoint", "external_id", "contact_id"]


async def test_json_lines_hold_what_was_asked_for(engine: AsyncEngine) -> None:
    await filled(engine)
    file = io.BytesIO()
    wanted = Wanted(VIEWS["Conversations"], since=NOW - timedelta(hours=6), until=NOW, endpoints=["support"])
    seen: list[int] = []
    await write(engine, wanted, JsonLinesWriter(wanted.view.table, file), on_rows=seen.append)
    rows = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [row["external_id"].split()[0] for row in rows] == ["ID-1", "ID-2", "ID-4", "ID-5"]
    assert rows[0]["channel"] is None and rows[0]["is_test"] is False and rows[0]["sessions"] == 0
    assert seen == [4]


async def test_parquet_has_the_columns_own_types(engine: AsyncEngine) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    await filled(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO session (conversation_id, started_at) SELECT id, created_at FROM conversation")
        )
        await connection.execute(
            text(
                "INSERT INTO session_run (session_id, conversation_id, flow_run_id, name) "
                "SELECT id, conversation_id, gen_random_uuid(), 'run' FROM session"
            )
        )
    for name, view in VIEWS.items():
        file = io.BytesIO()
        written = await write(engine, Wanted(view), ParquetWriter(view.table, file))
        table = parquet.read_table(io.BytesIO(file.getvalue()))
        assert (table.num_rows, table.column_names) == (written, list(view.table.c.keys())), name
        if name == "Conversations":
            assert str(table.schema.field("started_at").type) == "timestamp[us, tz=UTC]"
            assert table["external_id"].to_pylist()[1] == 'ID-1 "ü,\n'
            assert table["started_at"].to_pylist()[0] == NOW


async def test_memory_does_not_grow_with_the_rows(engine: AsyncEngine, tmp_path: Path) -> None:
    await filled(engine, 30_000)
    wanted = Wanted(VIEWS["Conversations"])
    with (tmp_path / "rows.csv").open("wb") as file:
        tracemalloc.start()
        try:
            assert await write(engine, wanted, CsvWriter(wanted.view.table, file)) == 30_000
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 12_000_000


async def test_the_command_writes_a_file_and_says_what_is_wrong(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_DATABASE_URL", database_url)
    given: dict[str, Any] = {"since": "1h", "until": None, "endpoints": [], "format": "jsonl"}
    target = tmp_path / "events.jsonl"
    await asyncio.to_thread(export.run, name="events", output=target, **given)
    assert target.read_bytes() == b""
    with pytest.raises(ConfigurationError, match="there is no nothing"):
        export.run(name="nothing", output=target, **given)
    with pytest.raises(ConfigurationError, match="--format"):
        export.run(name="events", output=target, **{**given, "format": "xls"})
    for unwritable in (tmp_path, tmp_path / "nowhere" / "events.jsonl"):
        with pytest.raises(ConfigurationError, match="can't be written"):
            export.run(name="events", output=unwritable, **given)
    with pytest.raises(ConfigurationError, match="--output"):
        export.run(name="events", output=None, **{**given, "format": "parquet"})


async def test_on_a_terminal_a_bar_shows_how_far_it_is_and_elsewhere_nothing_does(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await filled(engine, 4500)
    command = [
        str(Path(sys.executable).with_name("parley")),
        "export",
        "conversations",
        "--output",
        "rows.csv",
    ]
    environment = {**os.environ, "PARLEY_DATABASE_URL": database_url, "TERM": "xterm", "COLUMNS": "100"}

    def run(errors: int) -> int:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=errors, timeout=60
        )
        return done.returncode

    ours, terminal = pty.openpty()
    reading = asyncio.create_task(asyncio.to_thread(_all_of, ours))
    assert await asyncio.to_thread(run, terminal) == 0
    os.close(terminal)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", await reading)
    assert "conversations" in shown and "━" in shown
    assert shown.index("0/4500") < shown.index("4500/4500") < shown.index("4500 rows")

    assert len((tmp_path / "rows.csv").read_text().splitlines()) > 4500
    with (tmp_path / "errors").open("wb") as file:
        assert await asyncio.to_thread(run, file.fileno()) == 0
    assert (tmp_path / "errors").read_text().splitlines()[-1] == "4500 rows"
    assert "━" not in (tmp_path / "errors").read_text()


def _all_of(terminal: int) -> str:
    """What is written to a terminal until nobody has it open any more."""
    read = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says so
            part = b""
        if not part:
            return read.decode()
        read += part


def test_parquet_without_pyarrow_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match="pip install pyarrow"):
        WRITERS["parquet"](VIEWS["Events"].table, io.BytesIO())
    given: dict[str, Any] = {"since": None, "until": None, "endpoints": [], "format": "parquet"}
    with pytest.raises(ConfigurationError, match="pip install pyarrow"):
        export.run(name="events", output=tmp_path / "events.parquet", **given)
    assert not (tmp_path / "events.parquet").exists()
