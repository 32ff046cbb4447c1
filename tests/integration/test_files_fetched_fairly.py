"""Files are fetched for each endpoint by itself, and from nowhere that an attachment's id makes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.endpoints_storage import Files
from app.files.incoming import Incoming, _sources
from app.files.rows import Fetched
from app.files.store import new_key, open_store
from tests.file_server import Served, serving
from tests.integration.scene import endpoint


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


async def test_slow_files_of_one_endpoint_hold_up_no_other_endpoints(server: Served, tmp_path: Path) -> None:
    go = asyncio.Event()

    async def slow() -> None:
        await go.wait()

    server.gives("/slow", b"slow")
    server.gives("/quick", b"quick")
    server.before["/slow"] = slow
    settings = Files(allow=("127.0.0.1",))
    incoming = Incoming(settings, open_store(settings, tmp_path))

    def take(name: str, path: str) -> asyncio.Task[Fetched]:
        told = {"url": server.url(path, "127.0.0.1"), "name": "a.txt"}
        taking = incoming.take(endpoint(name=name), "ID-0", told, new_key(), within=20, last=True)
        return asyncio.create_task(taking)

    waiting = [take("one", "/slow") for _ in range(20)]
    await asyncio.sleep(0)
    assert (await take("other", "/quick")).state == "stored"
    assert not any(each.done() for each in waiting)
    go.set()
    assert {each.state for each in await asyncio.gather(*waiting)} == {"stored"}


@pytest.mark.parametrize("identity", [".", ".."])
def test_an_id_that_leads_elsewhere_is_no_source(identity: str) -> None:
    assert _sources(endpoint(), "ID-0", {"id": identity}) == []
    assert len(_sources(endpoint(), "ID-0", {"id": "a/../b"})) == 1
