"""Images are resized by processes of their own: each once, few at a time, none for long."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from litestar import Litestar
from obstore.store import MemoryStore
from PIL import Image

from app.files import resizing, serving
from app.files.flights import Busy, Flights
from app.files.images import NotResizable, Wanted, resize
from app.files.links import Links
from app.files.resizing import NotInTime, resize_apart
from app.files.serving import FileServer, StoredFile, file_routes
from app.files.store import FileStore, new_key, number_of
from tests.integration.scene import until


def tiled(kind: str, side: int, quality: int = 10) -> bytes:
    """An image that is hard to make small: noise, again and again."""
    tile = Image.frombytes("RGB", (128, 128), random.Random(1).randbytes(128 * 128 * 3))
    image = Image.new("RGB", (side, side))
    for left in range(0, side, 128):
        for top in range(0, side, 128):
            image.paste(tile, (left, top))
    out = io.BytesIO()
    image.save(out, kind, quality=quality, method=0)
    return out.getvalue()


SMALL = tiled("JPEG", 256, 90)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


def test_an_image_that_is_far_too_heavy_is_not_encoded_in_full_again_and_again() -> None:
    heavy = tiled("WEBP", 4000)
    assert len(heavy) > 4_000_000
    begun = time.process_time()
    made = resize(heavy, Wanted(size=1024))
    assert time.process_time() - begun < 5
    assert made is not None and len(made[0]) <= 1024


@pytest.mark.anyio
async def test_a_process_of_its_own_makes_the_copy_or_says_why_not() -> None:
    made = await resize_apart(pieces(SMALL), Wanted(width=64))
    assert made is not None and made[1] == "image/jpeg"
    with Image.open(io.BytesIO(made[0])) as image:
        assert image.size == (64, 64)
    assert await resize_apart(pieces(SMALL), Wanted(width=256)) is None
    with pytest.raises(NotResizable):
        await resize_apart(pieces(b"no image" * 1_000_000), Wanted(width=64))


@pytest.mark.anyio
async def test_one_that_takes_too_long_is_given_up_and_its_process_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield SMALL
        await asyncio.Event().wait()

    started = []
    start = resizing._start

    async def watched(wanted: Wanted) -> asyncio.subprocess.Process:
        started.append(await start(wanted))
        return started[-1]

    monkeypatch.setattr(resizing, "_SECONDS", 0.2)
    monkeypatch.setattr(resizing, "_start", watched)
    with pytest.raises(NotInTime):
        await resize_apart(endless(), Wanted(width=64))
    assert [process.returncode for process in started] == [-9]


@pytest.mark.anyio
async def test_work_is_done_once_for_all_who_ask_and_few_may_wait_for_it() -> None:
    flights: Flights[str] = Flights(1, 1)
    go = asyncio.Event()
    begun: list[str] = []

    async def work(name: str) -> str:
        begun.append(name)
        await go.wait()
        return name

    first = [asyncio.create_task(flights.join("a", lambda: work("a"))) for _ in range(3)]
    second = asyncio.create_task(flights.join("b", lambda: work("b")))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await flights.join("c", lambda: work("c"))
    first[0].cancel()  # the others still get it
    go.set()
    assert await asyncio.gather(*first[1:], second) == ["a", "a", "b"]
    assert begun == ["a", "b"]
    assert await flights.join("a", lambda: work("again")) == "again"


class CountingStore(FileStore):
    """Counts what is read; waits before it is, where it is told to."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.read: list[str] = []
        self.go = asyncio.Event()

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        if ".smaller" not in key:
            self.read.append(key)
            await self.go.wait()
        async for piece in super().stream(key):
            yield piece


@pytest.mark.anyio
async def test_one_image_is_read_and_resized_once_and_none_beyond_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "_AT_ONCE", 1)
    monkeypatch.setattr(serving, "_WAITING", 1)
    store, links = CountingStore(), Links([b"a key for these tests"], "http://testserver")
    keys = [new_key() for _ in range(3)]
    files = {number_of(key): StoredFile(key, "a.jpg", "image/jpeg", len(SMALL)) for key in keys}
    for key in keys:
        await store.put(key, SMALL)

    async def find(number: str) -> StoredFile | None:
        return files[number]

    server = FileServer(store, links, find)
    app = httpx.ASGITransport(Litestar(route_handlers=file_routes(server)))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=app) as client:

        async def get(key: str) -> httpx.Response:
            url = links.url(number_of(key), datetime.now(UTC) + timedelta(seconds=60))
            return await client.get(f"{url}&maxWidth=64")

        asked = [asyncio.create_task(get(key)) for key in (keys[0], keys[0], keys[1])]
        await until(lambda: len(server._resizing._flights) == 2 and store.read)
        refused = await get(keys[2])
        assert refused.status_code == 503
        assert store.read in ([keys[0]], [keys[1]])
        store.go.set()
        assert [each.status_code for each in await asyncio.gather(*asked)] == [200] * 3
        assert sorted(store.read) == sorted(keys[:2])
