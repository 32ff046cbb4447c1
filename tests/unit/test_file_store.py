"""The storage in a folder, plain and encrypted, and what kind of file something is."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.endpoints_storage import Files, LocalFolder
from app.errors import ConfigurationError
from app.files.sniffing import sniff
from app.files.spool import Spool, TooBig
from app.files.store import NoSuchFile, new_key, number_of, open_store, smaller_folder
from app.sealing import VARIABLE
from app.sealing import new_key as new_secret

OFFICE = "openxmlformats-officedocument"
BIG = os.urandom(12_000_000)


async def pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(BIG), 100_000):
        yield BIG[start : start + 100_000]


@pytest.mark.parametrize("sealed", [False, True])
async def test_what_is_put_is_got_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    monkeypatch.setenv(VARIABLE, new_secret())
    store = open_store(Files(), tmp_path)
    small, big, empty = (new_key(sealed=sealed) for _ in range(3))
    await store.put(small, b"hello")
    await store.put(big, pieces())
    await store.put(empty, b"")
    assert await store.get(small) == b"hello"
    assert b"".join([piece async for piece in store.stream(big)]) == BIG
    assert await store.get(empty) == b""
    assert await store.exists(big)
    on_disk = [path.read_bytes() for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert (b"hello" in on_disk) != sealed
    await store.delete([small, big, small])
    assert not await store.exists(big)
    with pytest.raises(NoSuchFile):
        await store.get(small)


async def test_an_encrypted_file_that_was_changed_or_cut_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, new_secret())
    store, key = open_store(Files(), tmp_path), new_key(sealed=True)
    await store.put(key, BIG[:200_000])
    path = tmp_path / "files" / key
    whole = path.read_bytes()
    first = 4 + int.from_bytes(whole[:4], "big")
    for broken in (whole[:first], whole[first:], whole[:-1], whole[first : 2 * first] + whole[:first], b""):
        path.write_bytes(broken)
        with pytest.raises(ConfigurationError):
            await store.get(key)


async def test_copies_below_a_file_are_deleted_together_and_nothing_else(tmp_path: Path) -> None:
    store = open_store(Files(storage=LocalFolder(folder=tmp_path / "elsewhere")), tmp_path)
    key = new_key()
    await store.put(key, b"picture")
    for name in ("16xx", "32xx"):
        await store.put(f"{smaller_folder(key)}/{name}", b"smaller")
    await store.delete_below(smaller_folder(key))
    assert await store.exists(key)
    assert not await store.exists(f"{smaller_folder(key)}/16xx")
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o700


def test_a_key_says_nothing_but_whether_it_is_encrypted() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    key = new_key(sealed=True)
    assert len(number_of(key)) == 32
    assert key.endswith(".sealed")


async def test_a_spool_measures_what_comes_and_stops_at_its_limit() -> None:
    with Spool(3_000_000) as spool:
        for _ in range(29):
            await spool.write(bytes(100_000))
        assert spool.size == 2_900_000
        assert sum([len(piece) async for piece in spool.pieces()]) == 2_900_000
        with pytest.raises(TooBig):
            await spool.write(bytes(100_001))
        await spool.restart()
        await spool.write(b"again")
        assert [piece async for piece in spool.pieces()] == [b"again"]
        assert (spool.size, spool.head) == (5, b"again")


@pytest.mark.parametrize(
    ("head", "name", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "photo.txt", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", None, "image/jpeg"),
        (b"%PDF-1.4\n", "a.exe", "application/pdf"),
        (b"<html><script>alert(1)</script>", "a.png", "text/html"),
        (b"hello there", "a.png", "text/plain"),
        (b"a,b\n1,2\n", "table.csv", "text/csv"),
        (b'{"a": 1}', "x", "application/json"),
        ("Grüße".encode()[:-3], "a.txt", "text/plain"),
        (b"\x00\x01\x02\x03", "a.txt", "application/octet-stream"),
        (b"", "a.txt", "application/octet-stream"),
        (b"PK\x03\x04" + bytes(30), "a.docx", f"application/vnd.{OFFICE}.wordprocessingml.document"),
        (b"PK\x03\x04" + bytes(30), None, "application/zip"),
    ],
)
def test_the_bytes_say_what_kind_of_file_it_is(head: bytes, name: str | None, media_type: str) -> None:
    assert sniff(head, name) == media_type
