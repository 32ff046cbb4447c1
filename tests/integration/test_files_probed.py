"""`parley check --files` finds out whether files can be stored and scanned."""

from __future__ import annotations

from pathlib import Path

import pytest
from anyio import Path as AsyncPath

from app.commands import check
from app.endpoints_storage import S3, Files
from app.files.probe import problems
from tests.integration.clamav import clamav


async def found(files: Files, home: Path) -> list[str]:
    return [line async for line in problems(files, home)]


async def test_what_works_is_silent_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with clamav() as clamd:
        assert await found(Files(clamd=clamd), tmp_path) == []
    assert [each async for each in AsyncPath(tmp_path).rglob("*") if await each.is_file()] == []


async def test_a_storage_and_a_scanner_that_are_away_are_named(tmp_path: Path) -> None:
    away = S3(type="s3", bucket="files", endpoint="http://127.0.0.1:1", access_key_id="k")
    storage, scanner = await found(Files(storage=away, clamd="127.0.0.1:1"), tmp_path)
    assert storage.startswith("files.storage")
    assert scanner.startswith("files.clamd: ClamAV can't be asked")


def test_the_command_fails_where_files_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "files").write_text("no folder")
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path))
    monkeypatch.setenv("PARLEY_ENDPOINTS", str(Path(__file__).parents[2] / "endpoints.yaml"))
    assert check.run() == 0
    assert check.run(files=True) == 1
    assert "error: files.storage" in capsys.readouterr().err
