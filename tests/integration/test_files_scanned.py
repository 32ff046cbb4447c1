"""Files are shown to ClamAV before a bot gets them: its real daemon, over its own protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.endpoints_storage import Files
from app.files.clamd import ScannerAway, scan
from tests.file_server import Served, serving
from tests.integration.clamav import EICAR, clamav
from tests.integration.test_files_in import Files8x8, opened


@pytest.fixture(scope="module")
def clamd() -> Iterator[str]:
    with clamav() as path:
        yield path


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


async def states(sent: Files8x8) -> list[tuple[str, str, str | None]]:
    rows = await sent.play.rows("SELECT state, scan, reason FROM file ORDER BY position")
    return [tuple(row) for row in rows]


async def incidents(sent: Files8x8) -> list[tuple[str, dict[str, object]]]:
    return [tuple(row) for row in await sent.play.rows("SELECT kind, detail FROM incident ORDER BY id")]


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_clamav_tells_clean_from_infected(clamd: str) -> None:
    assert (await scan(clamd, pieces(b"hello"), timeout=10)).result == "clean"
    assert (await scan(clamd, pieces(), timeout=10)).result == "clean"
    found = await scan(clamd, pieces(EICAR[:20], EICAR[20:]), timeout=10)
    assert found.result == "infected"
    assert "Eicar" in str(found.signature)


async def test_an_infected_file_is_not_stored_and_the_bot_and_ops_are_told(
    engine: AsyncEngine, server: Served, tmp_path: Path, clamd: str
) -> None:
    sent = await opened(engine, server, tmp_path, Files(clamd=clamd, timeout=10))
    server.gives("/virus", EICAR)
    server.gives("/a", b"hello")
    await sent.sends(sent.file("/virus", "virus.com"), sent.file("/a", "a.txt"))
    await sent.play.work()
    assert sent.play.gateway.texts[0] == "virus.com infected: infected"
    assert sent.play.gateway.texts[1].startswith("a.txt 2cf24dba")
    assert await states(sent) == [("infected", "infected", "infected"), ("stored", "clean", None)]
    assert [path.read_bytes() for path in sent.objects()] == [b"hello"]
    [(kind, detail)] = await incidents(sent)
    assert kind == "file_infected"
    assert "Eicar" in str(detail["signature"])


@pytest.mark.parametrize("unscanned", ["refuse", "allow"])
async def test_while_clamav_is_away_the_setting_decides(
    engine: AsyncEngine, server: Served, tmp_path: Path, unscanned: str
) -> None:
    settings = Files.model_validate({"clamd": str(tmp_path / "nobody.sock"), "unscanned": unscanned})
    sent = await opened(engine, server, tmp_path, settings)
    server.gives("/a", b"hello")
    await sent.sends(sent.file("/a", "a.txt"))
    await sent.play.work()
    given = unscanned == "allow"
    assert sent.play.gateway.texts[0].startswith("a.txt 2cf24dba" if given else "a.txt failed: not_scanned")
    assert len(server.requests) == 4
    assert len(sent.objects()) == given
    [(kind, detail)] = await incidents(sent)
    assert (kind, detail["given"]) == ("file_not_scanned", given)


async def test_a_scanner_that_comes_back_in_time_has_the_file_scanned(
    engine: AsyncEngine, server: Served, tmp_path: Path, clamd: str
) -> None:
    link = tmp_path / "clamd.sock"
    tries = []

    async def comes_back() -> None:
        tries.append(1)
        if len(tries) == 2:
            link.symlink_to(clamd)

    sent = await opened(engine, server, tmp_path, Files(clamd=str(link), timeout=10))
    server.gives("/a", b"hello")
    server.before["/a"] = comes_back
    await sent.sends(sent.file("/a", "a.txt"))
    await sent.play.work()
    assert await states(sent) == [("stored", "clean", None)]
    assert await incidents(sent) == []


@pytest.fixture(scope="module")
def limited() -> Iterator[str]:
    """A clamd with limits below those of Parley."""
    with clamav("MaxFileSize 1M", "StreamMaxLength 3M", "AlertExceedsMax yes") as path:
        yield path


@pytest.mark.parametrize("unscanned", ["refuse", "allow"])
@pytest.mark.parametrize("size", [2 * 1024 * 1024, 4 * 1024 * 1024])
async def test_what_is_beyond_clamavs_own_limits_counts_as_not_scanned_and_is_asked_about_once(
    engine: AsyncEngine, server: Served, tmp_path: Path, limited: str, unscanned: str, size: int
) -> None:
    settings = Files.model_validate({"clamd": limited, "unscanned": unscanned, "timeout": 60})
    sent = await opened(engine, server, tmp_path, settings)
    server.gives("/a", bytes(size))
    server.gives("/b", b"hello")
    await sent.sends(sent.file("/a", "a.bin"), sent.file("/b", "b.txt"))
    await sent.play.work()
    large = (
        ("failed", "not_scanned", "not_scanned") if unscanned == "refuse" else ("stored", "not_scanned", None)
    )
    assert await states(sent) == [large, ("stored", "clean", None)]
    assert len(server.requests) == 2
    assert [kind for kind, _ in await incidents(sent)] == ["file_not_scanned"]


async def test_nobody_there_is_told_from_a_verdict(tmp_path: Path) -> None:
    for nobody in (str(tmp_path / "nobody.sock"), "127.0.0.1:1"):
        with pytest.raises(ScannerAway):
            await scan(nobody, pieces(b"hello"), timeout=5)
