"""Files that users send, over a real database, a real folder and a real HTTP server as 8x8."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat, FileUnavailable
from app.contacts.erase import erase
from app.contacts.files import write_files
from app.contacts.find import Wanted, export
from app.conversation import attachments as module
from app.conversation.privacy.erasure import erase_what_is_left
from app.conversation.replay_stored import replay_stored
from app.endpoints_storage import Files
from app.errors import OwnershipLost
from app.files.purge import purge
from app.files.service import FileService
from app.maintenance import sweep
from app.sealing import VARIABLE, new_key
from app.settings import Settings
from tests.file_server import Served, serving
from tests.integration.scene import Scene, scene

PICTURE = b"\x89PNG\r\n\x1a\n" + b"picture" * 1000
CONTENT = "/chat-gateway/v1/conversations/ID-0/attachments/f1/content"


async def digests(chat: Chat) -> None:
    """Says the SHA-256 of each file, or why there is none."""
    message = chat.message
    while True:
        for file in message.attachments:
            try:
                content = await file.read()
                await chat.say(f"{file.name} {hashlib.sha256(content).hexdigest()}")
            except FileUnavailable as error:
                await chat.say(f"{file.name} {file.state}: {error.reason}")
        await chat.say("done")
        message = await chat.receive()


@dataclass
class Files8x8:
    """A scene whose gateway gives files."""

    play: Scene
    server: Served
    home: Path

    @property
    def service(self) -> FileService:
        files = self.play.services.files
        assert files is not None
        return files

    async def sends(self, *attachments: dict[str, Any], words: str = "") -> None:
        data = {"isEcho": False, "sender": {"id": "user-1", "type": "user"}, "text": words}
        await self.play.post(
            {"eventType": "MESSAGE", "conversationId": "ID-0", "data": {**data, "attachments": attachments}}
        )

    async def sends_picture(self) -> None:
        self.server.gives("/a", PICTURE)
        await self.sends(self.file("/a"))

    def file(self, path: str, name: str = "lamp.png", **more: Any) -> dict[str, Any]:
        url = self.server.url(path, "127.0.0.1")
        return {"id": None, "type": "image", "preSignedUrl": url, "fileName": name, **more}

    def objects(self) -> list[Path]:
        return [path for path in (self.home / "files").rglob("*") if path.is_file()]

    async def row(self) -> Any:
        [row] = await self.play.rows("SELECT * FROM file")
        return row


async def opened(
    engine: AsyncEngine, server: Served, home: Path, settings: Files | None = None, **changes: Any
) -> Files8x8:
    gateway = {
        "base_url": server.url("", "127.0.0.1"),
        "api_key": "key-of-8x8-long-enough",
        "tenant": "acme01",
    }
    play = scene(engine, digests, eightxeight=gateway, **changes)
    process = Settings(home=home, public_url="https://parley.example")
    play.services.files = FileService.open(settings or Files(timeout=10), process)
    return Files8x8(play, server, home)


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


@pytest.fixture
async def sent(engine: AsyncEngine, server: Served, tmp_path: Path) -> Files8x8:
    return await opened(engine, server, tmp_path)


DIGEST = hashlib.sha256(PICTURE).hexdigest()


async def test_a_bot_reads_a_file_and_reads_it_again_at_every_replay(sent: Files8x8) -> None:
    await sent.sends_picture()
    await sent.play.work()
    await sent.play.says("more")
    sent.service.reader._kept.clear()
    await sent.play.work()
    assert sent.play.gateway.texts == [f"lamp.png {DIGEST}", "done", "done"]
    assert len(sent.server.requests) == 1
    row = await sent.row()
    assert (row.state, row.scan, row.type, row.size) == ("stored", "not_scanned", "image/png", len(PICTURE))
    assert (row.sha256.hex(), row.name, row.declared_type) == (DIGEST, "lamp.png", "image")
    assert [path.read_bytes() for path in sent.objects()] == [PICTURE]


async def test_a_url_opens_the_file_for_long_enough_however_old_the_dialog_is(
    engine: AsyncEngine, server: Served, tmp_path: Path
) -> None:
    sent = await opened(engine, server, tmp_path, session_expiration=0)
    told: list[str] = []

    async def hands_on(chat: Chat) -> None:
        [file] = chat.message.attachments
        await chat.ask("Shall I hand it on?")
        await chat.step(told.append, file.url)
        await chat.say("Done.")

    sent.play.bots["tests.bots:bot"] = hands_on
    await sent.sends_picture()
    await sent.play.work()
    sent.play.clock.forward(7 * 86_400)
    await sent.play.says("yes")
    await sent.play.work()
    assert sent.play.gateway.texts == ["Shall I hand it on?", "Done."]
    url = httpx.URL(told[0])
    number = url.path.rpartition("/")[2]
    opens = sent.service.links.opens
    later = sent.play.clock() + timedelta(seconds=sent.service.settings.url_ttl - 60)
    assert opens(number, url.params["expires"], url.params["signature"], later)


async def test_only_a_reference_is_journaled_and_no_url_is_in_the_transcript(sent: Files8x8) -> None:
    await sent.sends_picture()
    await sent.play.work()
    [entry] = await sent.play.rows("SELECT content FROM journal WHERE kind = 'input'")
    [file] = entry.content["message"]["attachments"]
    assert file["url"].startswith("https://parley.example/files/")
    assert (file["file"], file["size"]) == ((await sent.row()).key, len(PICTURE))
    [line] = await sent.play.rows("SELECT content FROM message WHERE author = 'user'")
    [shown] = line.content["attachments"]
    assert shown == {
        "id": None,
        "type": "image/png",
        "name": "lamp.png",
        "size": len(PICTURE),
        "state": "stored",
        "scan": "not_scanned",
    }


async def test_a_file_that_cannot_be_had_does_not_keep_the_message_from_the_bot(sent: Files8x8) -> None:
    sent.server.says("/gone", 404)
    sent.server.gives("/a", PICTURE)
    inside = {"type": "file", "preSignedUrl": "https://127.0.0.1:1/x", "fileName": "inside"}
    nowhere = {"type": "file", "fileName": "nowhere"}
    await sent.sends(sent.file("/gone", "gone.pdf"), sent.file("/a"), inside, nowhere, words="look")
    await sent.play.work()
    assert sent.play.gateway.texts == [
        "gone.pdf failed: not_found",
        f"lamp.png {DIGEST}",
        "inside failed: refused_address",
        "nowhere failed: no_source",
        "done",
    ]
    rows = await sent.play.rows("SELECT state, reason, position FROM file ORDER BY position")
    assert tuple(rows[0]) == ("failed", "not_found", 0)


async def test_where_the_url_has_expired_the_gateway_is_asked_with_the_api_key(sent: Files8x8) -> None:
    sent.server.says("/expired", 403)
    sent.server.gives(CONTENT, PICTURE)
    await sent.sends(sent.file("/expired", id="f1"))
    await sent.play.work()
    assert sent.play.gateway.texts[0] == f"lamp.png {DIGEST}"
    assert "x-api-key: key-of-8x8-long-enough" in sent.server.requests[1]
    assert "X-8x8-Tenant: acme01" in sent.server.requests[1]


async def test_what_fails_for_a_moment_is_tried_again(sent: Files8x8) -> None:
    sent.server.turns["/a"] = [
        b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha",
    ]
    await sent.sends_picture()
    await sent.play.work()
    assert sent.play.gateway.texts[0] == f"lamp.png {DIGEST}"
    assert len(sent.server.requests) == 4
    assert len(sent.objects()) == 1


async def test_a_file_that_takes_too_long_is_given_up(
    engine: AsyncEngine, server: Served, tmp_path: Path
) -> None:
    sent = await opened(engine, server, tmp_path, Files(timeout=0.5))
    server.before["/a"] = asyncio.Event().wait
    await sent.sends_picture()
    await sent.play.work()
    assert sent.play.gateway.texts == ["lamp.png failed: timeout", "done"]


async def test_a_file_that_is_too_big_is_not_kept(
    engine: AsyncEngine, server: Served, tmp_path: Path
) -> None:
    sent = await opened(engine, server, tmp_path, Files(max_size=1000))
    await sent.sends_picture()
    await sent.play.work()
    assert sent.play.gateway.texts == ["lamp.png failed: too_big", "done"]
    assert sent.objects() == []


async def test_of_very_many_files_the_first_twenty_are_fetched(sent: Files8x8) -> None:
    sent.server.gives("/a", PICTURE)
    await sent.sends(*[sent.file("/a", f"{number}") for number in range(22)])
    await sent.play.work()
    assert sent.play.gateway.texts[19:] == [
        f"19 {DIGEST}",
        "20 failed: too_many",
        "21 failed: too_many",
        "done",
    ]
    assert len(sent.objects()) == 20


async def test_after_a_crash_the_file_is_not_stored_twice(
    sent: Files8x8, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise ConnectionError

    await sent.sends_picture()
    with monkeypatch.context() as patch:
        patch.setattr(module, "settle", crash)
        with pytest.raises(ConnectionError):
            await sent.play.work()
    assert [(row.state, row.key) for row in await sent.play.rows("SELECT state, key FROM file")] == [
        ("wanted", str(sent.objects()[0].relative_to(sent.home / "files")))
    ]
    await free(sent.play)
    await sent.play.work()
    assert len(sent.objects()) == 1
    assert (await sent.row()).state == "stored"
    assert sent.play.gateway.texts == [f"lamp.png {DIGEST}", "done"]


async def free(play: Scene) -> None:
    """The worker that had it is gone."""
    async with play.engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET owner = NULL"))


async def test_a_worker_that_lost_the_conversation_while_fetching_writes_nothing(sent: Files8x8) -> None:
    async def taken() -> None:
        async with sent.play.engine.begin() as connection:
            await connection.execute(text("UPDATE conversation SET epoch = epoch + 1, owner = NULL"))

    sent.server.before["/a"] = taken
    await sent.sends_picture()
    with pytest.raises(OwnershipLost):
        await sent.play.work()
    assert (await sent.row()).state == "wanted"
    del sent.server.before["/a"]
    await sent.play.work()
    assert sent.play.gateway.texts == [f"lamp.png {DIGEST}", "done"]
    assert len(sent.objects()) == 1


async def test_an_endpoint_that_is_silent_fetches_nothing(sent: Files8x8) -> None:
    sent.play.services.modes._modes = {"support": "silent"}
    await sent.sends_picture()
    await sent.play.work()
    assert sent.server.requests == []


async def test_where_everything_is_encrypted_files_and_their_names_are_too(
    engine: AsyncEngine, server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, new_key())
    sent = await opened(engine, server, tmp_path, encrypt=True)
    await sent.sends_picture()
    await sent.play.work()
    assert sent.play.gateway.texts[0] == f"lamp.png {DIGEST}"
    [stored] = sent.objects()
    assert b"picture" not in stored.read_bytes()
    assert "lamp" not in (await sent.row()).name
    stored_of = await export(engine, Wanted(id="ID-0"))
    (tmp_path / "out").mkdir()
    assert await write_files(sent.service.store, stored_of["file"], tmp_path / "out") == 1
    (file,) = stored_of["file"]
    (written,) = (tmp_path / "out").iterdir()
    assert (file["name"], file["path"]) == ("lamp.png", str(written))
    assert written.name == "1-lamp.png" and b"picture" in written.read_bytes()
    monkeypatch.setenv(VARIABLE, new_key())
    assert "lamp" not in (await export(engine, Wanted(id="ID-0")))["file"][0]["name"]


async def test_an_exported_file_has_a_name_that_stays_in_its_folder(sent: Files8x8, tmp_path: Path) -> None:
    await sent.sends_picture()
    await sent.play.work()
    async with sent.play.engine.begin() as connection:
        await connection.execute(text("UPDATE file SET name = '../../étc/lamp\n.png'"))
    files = (await export(sent.play.engine, Wanted(id="ID-0")))["file"]
    gone = {**files[0], "state": "deleted"}, {**files[0], "key": "00/0000", "id": 2}
    rows = [*files, *gone]
    (tmp_path / "out").mkdir()
    assert await write_files(sent.service.store, rows, tmp_path / "out") == 1
    assert [row["path"] for row in rows[1:]] == [None, None]
    (path,) = (tmp_path / "out").iterdir()
    assert (str(path), path.name) == (rows[0]["path"], "1-.._.._étc_lamp_.png")


async def test_names_of_files_are_masked_in_transcripts_as_texts_are(
    engine: AsyncEngine, server: Served, tmp_path: Path
) -> None:
    sent = await opened(engine, server, tmp_path, mask_sensitive_analytics=True)
    await sent.sends_picture()
    await sent.play.work()
    lines = await sent.play.rows("SELECT text, content FROM message ORDER BY id")
    assert "lamp" not in repr(lines)


async def test_erasing_a_contact_deletes_its_files(sent: Files8x8) -> None:
    await sent.play.post(
        {
            "eventType": "CONVERSATION_UPDATE",
            "conversationId": "ID-0",
            "data": {"state": "active", "user": {"userId": "user-1", "email": "a@example.com"}},
        }
    )
    await sent.sends_picture()
    await sent.play.work()
    assert len(sent.objects()) == 1
    await erase(sent.play.engine, Wanted(None, "a@example.com", None, None))
    row = await sent.row()
    assert (row.state, row.name, row.sha256, row.gateway_id) == ("deleted", None, None, None)
    assert await purge(sent.play.engine, sent.service.store) == 1
    assert sent.objects() == []
    assert await sent.play.rows("SELECT 1 FROM file") == []


async def test_a_file_that_is_stored_while_its_contact_is_erased_goes_too(sent: Files8x8) -> None:
    async def erased() -> None:
        async with sent.play.engine.begin() as connection:
            await connection.execute(text("UPDATE conversation SET epoch = epoch + 1, owner = NULL"))
            await connection.execute(text("UPDATE event SET processed_at = now(), outcome = 'noted'"))
            await connection.execute(text("UPDATE file SET state = 'deleted', deleted_at = now()"))

    sent.server.before["/a"] = erased
    await sent.sends_picture()
    with pytest.raises(OwnershipLost):
        await sent.play.work()
    assert len(sent.objects()) == 1
    assert await purge(sent.play.engine, sent.service.store) == 0  # it might still be on its way
    async with sent.play.engine.begin() as connection:
        await connection.execute(text("UPDATE file SET deleted_at = deleted_at - interval '11 minutes'"))
    assert await purge(sent.play.engine, sent.service.store) == 1
    assert sent.objects() == []


async def test_where_no_conversations_are_kept_files_go_with_their_session(
    engine: AsyncEngine, server: Served, tmp_path: Path
) -> None:
    sent = await opened(engine, server, tmp_path, collect_conversations=False)
    await sent.sends_picture()
    await sent.play.work()
    assert (await sent.row()).state == "stored"
    left = {"memberType": "user", "change": "left", "id": "user-1"}
    await sent.play.post({"eventType": "MEMBERS_CHANGED", "conversationId": "ID-0", "data": left})
    await sent.play.work()
    await erase_what_is_left(engine)
    assert (await sent.row()).state == "deleted"
    await purge(engine, sent.service.store)
    assert sent.objects() == []


async def test_files_that_are_old_go_unless_an_open_dialog_may_read_them(sent: Files8x8) -> None:
    await sent.sends_picture()
    await sent.play.work()
    endpoint = sent.play.services.endpoints["support"]
    async with sent.play.engine.begin() as connection:
        await connection.execute(text("UPDATE file SET created_at = now() - interval '91 days'"))
    swept = await sweep(sent.play.engine, retain_days=90, endpoints=[endpoint])
    assert swept.files == 0
    async with sent.play.engine.begin() as connection:
        await connection.execute(text("UPDATE dialog SET ended_at = now(), status = 'completed'"))
    assert (await sweep(sent.play.engine, retain_days=90, endpoints=[endpoint])).files == 1
    await purge(sent.play.engine, sent.service.store)
    assert sent.objects() == []


async def test_stored_dialogs_are_replayed_with_their_files(sent: Files8x8) -> None:
    await sent.sends_picture()
    await sent.play.work()
    bots = sent.play.services.bots
    report = await replay_stored(sent.play.engine, bots, read=sent.service.store.get)
    assert [dialog.result for dialog in report.dialogs] == ["ok"]
    await sent.service.store.delete([(await sent.row()).key])
    report = await replay_stored(sent.play.engine, bots, read=sent.service.store.get)
    assert [dialog.result for dialog in report.dialogs] == ["unloadable"]
