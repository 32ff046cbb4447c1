"""`GET /files/…` on the receiver's public port, over a real database and a real folder."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from PIL import Image

from app.database.engine import connect
from app.endpoints import Endpoints
from app.files.links import Links, open_links
from app.files.store import FileStore, new_key, number_of, open_store
from app.receiver.main import serving
from app.settings import Settings
from app.tls import certificates
from tests.integration.scene import endpoint


def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((640, 480), 80).save(out, "PNG")
    return out.getvalue()


PICTURE = picture()


@dataclass
class Receiving:
    http: httpx.AsyncClient
    store: FileStore
    links: Links
    connection: asyncpg.Connection[asyncpg.Record]
    folder: Path

    async def keep(self, content: bytes, media_type: str, name: str | None = "a file.txt") -> str:
        """Store a file; its number."""
        key = new_key()
        await self.store.put(key, content)
        await self.connection.execute(
            """INSERT INTO file (key, endpoint, conversation_id, direction, state, name, type, size)
               VALUES ($1, 'support', 1, 'in', 'stored', $2, $3, $4)""",
            key,
            name,
            media_type,
            len(content),
        )
        return number_of(key)

    def url(self, number: str, *, seconds: float = 60, **parameters: object) -> httpx.URL:
        """A path on the receiver, signed."""
        signed = httpx.URL(self.links.url(number, datetime.now(UTC) + timedelta(seconds=seconds)))
        path = httpx.URL(signed.raw_path.decode())
        return path.copy_merge_params({name: str(value) for name, value in parameters.items()})


@pytest.fixture
async def receiving(database_url: str, tmp_path: Path) -> AsyncIterator[Receiving]:
    settings = Settings(home=tmp_path, port=0, admin_port=0, public_url="https://parley.example")
    endpoints = Endpoints(endpoints=[endpoint()])
    connection = await connect(database_url, application="test")
    async with (
        serving(settings, endpoints, database_url=database_url) as ports,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{ports.public}", verify=certificates(), trust_env=False
        ) as http,
    ):
        store = open_store(endpoints.files, tmp_path)
        yield Receiving(http, store, open_links(settings), connection, tmp_path / "files")
    await connection.close()


async def test_a_signed_url_gives_the_file_to_be_saved_and_never_run(receiving: Receiving) -> None:
    number = await receiving.keep(b"<script>alert(1)</script>", "text/html", 'Grüße "x"/../.html')
    answer = await receiving.http.get(receiving.url(number))
    assert (answer.status_code, answer.content) == (200, b"<script>alert(1)</script>")
    headers = answer.headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == (
        "attachment; filename=\"Gr__e x...html\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20x...html"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["cache-control"].startswith("private")


@pytest.mark.parametrize(
    ("name", "media_type", "shown"),
    [
        ("a" * 300 + ".pdf", "application/pdf", "a" * 196 + ".pdf"),
        ("a" * 300, "application/pdf", "a" * 200),
        (None, "application/pdf", "file.pdf"),
        (None, "text/x-nobody-knows", "file"),
    ],
)
async def test_a_name_keeps_its_ending_and_a_file_without_one_gets_it_from_its_type(
    receiving: Receiving, name: str | None, media_type: str, shown: str
) -> None:
    number = await receiving.keep(b"hello", media_type, name)
    answer = await receiving.http.get(receiving.url(number))
    assert f'filename="{shown}"' in answer.headers["content-disposition"]


async def test_a_url_that_was_changed_or_has_expired_is_403_whether_there_is_a_file_or_not(
    receiving: Receiving,
) -> None:
    number = await receiving.keep(b"hello", "text/plain")
    good, other = receiving.url(number), await receiving.keep(b"other", "text/plain")
    for url in (
        good.copy_set_param("expires", str(int(good.params["expires"]) + 1)),
        good.copy_set_param("signature", "A" * 43),
        good.copy_remove_param("signature"),
        httpx.URL(str(good).replace(number, other)),
        httpx.URL(str(good).replace(number, "0" * 32)),
        httpx.URL(f"/files/{number}"),
        receiving.url(number, seconds=-1),
    ):
        answer = await receiving.http.get(url)
        assert answer.status_code == 403
        assert b"hello" not in answer.content
    assert (await receiving.http.get(good)).content == b"hello"


async def test_what_was_never_there_or_was_deleted_is_404(receiving: Receiving) -> None:
    assert (await receiving.http.get(receiving.url("0" * 32))).status_code == 404
    number = await receiving.keep(b"hello", "text/plain")
    await receiving.connection.execute("UPDATE file SET state = 'deleted', deleted_at = now()")
    assert (await receiving.http.get(receiving.url(number))).status_code == 404
    number = await receiving.keep(b"hello", "text/plain")
    await receiving.store.delete([f"{number[:2]}/{number}"])
    assert (await receiving.http.get(receiving.url(number))).status_code == 404


async def test_a_large_file_comes_whole_and_its_head_alone(receiving: Receiving) -> None:
    content = bytes(range(256)) * 20_000
    number = await receiving.keep(content, "application/pdf")
    answer = await receiving.http.get(receiving.url(number))
    assert answer.content == content
    head = await receiving.http.head(receiving.url(number))
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")
    assert head.headers["content-disposition"].startswith("attachment")


async def test_an_image_is_shown_and_comes_smaller_where_that_is_asked_for(receiving: Receiving) -> None:
    number = await receiving.keep(PICTURE, "image/png", "lamp.png")
    whole = await receiving.http.get(receiving.url(number))
    assert whole.content == PICTURE
    assert whole.headers["content-disposition"].startswith("inline")
    small = await receiving.http.get(receiving.url(number, maxWidth=165))
    with Image.open(io.BytesIO(small.content)) as image:
        assert image.size == (160, 120)
    light = await receiving.http.get(receiving.url(number, maxFileSizeInBytes=40_000))
    assert len(light.content) <= 40_000
    same = await receiving.http.get(receiving.url(number, maxWidth=5000))
    assert same.content == PICTURE


async def test_a_smaller_copy_is_made_once(receiving: Receiving) -> None:
    number = await receiving.keep(PICTURE, "image/png")
    first = await receiving.http.get(receiving.url(number, maxWidth=100))
    [copy] = [path for path in receiving.folder.rglob("*") if path.is_file() and ".smaller" in str(path)]
    assert copy.read_bytes() == first.content
    copy.write_bytes(b"kept")
    assert (await receiving.http.get(receiving.url(number, maxWidth=110))).content == b"kept"


async def test_sizes_that_are_none_and_images_that_are_none_are_refused(receiving: Receiving) -> None:
    number = await receiving.keep(b"\x89PNG\r\n\x1a\n", "image/png")
    for wrong in ("0", "-1", "abc", "1e3", "9" * 30, ""):
        assert (await receiving.http.get(receiving.url(number, maxWidth=wrong))).status_code == 400
    assert (await receiving.http.get(receiving.url(number, maxWidth=100))).status_code == 422


async def test_sizes_mean_nothing_for_what_is_no_image(receiving: Receiving) -> None:
    number = await receiving.keep(b"hello", "text/plain")
    assert (await receiving.http.get(receiving.url(number, maxWidth=1))).content == b"hello"


async def test_no_log_line_has_the_url(receiving: Receiving, capfd: pytest.CaptureFixture[str]) -> None:
    number = await receiving.keep(b"hello", "text/plain")
    url = receiving.url(number)
    await receiving.http.get(url)
    await receiving.http.get(url.copy_set_param("signature", "wrong"))
    logged = "".join(capfd.readouterr())
    assert number not in logged
    assert url.params["signature"] not in logged
