"""Files that bots send: durable before the bot goes on, uploaded once, sent with their message."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import BotError, Chat, File
from app.conversation import services
from app.conversation.driver import Bot
from app.conversation.privacy.erasure import erase_what_is_left
from app.conversation.replay_stored import replay_stored
from app.endpoints import Endpoint
from app.endpoints_storage import Files
from app.files.purge import purge
from app.files.sealed import name_of
from app.files.service import FileService
from app.gateway.multipart import Upload
from app.gateway.outcome import InDoubt, Outcome, Refused, Retry, Sent, Unauthorized
from app.sealing import VARIABLE, new_key
from app.settings import Settings
from tests.file_server import Served, serving
from tests.integration.crashing import Point, crashing, empty, points, settled
from tests.integration.scene import PlayedGateway, Scene, scene
from tests.integration.test_rich_messages import channel_is

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 100


class Taking(PlayedGateway):
    """Takes files too: `uploads` in order; `upload_answers` are used up first."""

    def __init__(self, play: Scene) -> None:
        super().__init__(play.clock)
        self.uploads: list[Upload] = []
        self.upload_answers: list[Outcome] = []

    async def upload(
        self, endpoint: Endpoint, conversation: str, file: Upload, *, timeout: float | None = None
    ) -> tuple[Outcome, str | None]:
        answer = self.upload_answers.pop(0) if self.upload_answers else Sent(200)
        if not isinstance(answer, Sent):
            return answer, None
        self.uploads.append(file)
        return answer, f"attachment-{len(self.uploads)}"

    @property
    def sent(self) -> list[tuple[str | None, list[Any]]]:
        """Text and attachments of each message request."""
        return [
            (body.get("text"), body.get("attachments", []))
            for kind, _, body in self.requests
            if kind == "message"
        ]


def opened(
    engine: AsyncEngine, bot: Bot, home: Path, settings: Files | None = None, **changes: Any
) -> tuple[Scene, Taking]:
    play = scene(engine, bot, **changes)
    gateway = play.gateway = play.services.gateway = Taking(play)
    process = Settings(home=home, public_url="https://parley.example")
    play.services.files = FileService.open(settings or Files(timeout=10), process)
    return play, gateway


async def played(play: Scene, *words: str) -> None:
    for word in words:
        await play.says(word)
        await play.work()


def objects(home: Path) -> list[bytes]:
    return [path.read_bytes() for path in (home / "files").rglob("*") if path.is_file()]


async def says_bytes(chat: Chat) -> None:
    await chat.say("The menu.", attachments=[File(PDF, name="Menü.pdf")])
    await chat.receive()
    await chat.say("More?")


async def test_the_bytes_are_stored_once_and_only_a_reference_is_kept_beside(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    play, gateway = opened(engine, says_bytes, tmp_path)
    await played(play, "hi", "and")
    assert gateway.uploads == [Upload("Menü.pdf", "application/pdf", PDF)]
    assert gateway.sent == [("The menu.", [{"id": "attachment-1"}]), ("More?", [])]
    assert objects(tmp_path) == [PDF]
    [row] = await play.rows("SELECT * FROM file")
    about = (row.direction, row.state, row.name, row.type, row.size, row.gateway_id)
    assert about == ("out", "stored", "Menü.pdf", "application/pdf", len(PDF), "attachment-1")
    [delivery] = await play.rows(f"SELECT * FROM delivery WHERE id = {row.delivery_id}")
    [said] = await play.rows("SELECT content FROM journal WHERE kind = 'output' AND position = 1")
    for content in (delivery.content, said.content):
        [file] = content["attachments"]
        assert (file["file"], file["name"], file["size"]) == (row.key, "Menü.pdf", len(PDF))
    [line] = await play.rows("SELECT content FROM message WHERE text = 'The menu.'")
    shown = {"name": "Menü.pdf", "type": "application/pdf", "size": len(PDF)}
    assert line.content["attachments"] == [shown]


async def test_a_path_is_read_when_it_is_said_and_not_again(engine: AsyncEngine, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b"a,b\n1,2\n")

    async def bot(chat: Chat) -> None:
        await chat.say(attachments=[File(path), File(path=str(path), name="copy.csv")])
        await chat.receive()
        await chat.say("Still here.")

    play, gateway = opened(engine, bot, tmp_path)
    await played(play, "hi")
    path.unlink()
    await played(play, "and")
    assert [(file.name, file.type, file.content) for file in gateway.uploads] == [
        ("prices.csv", "text/csv", b"a,b\n1,2\n"),
        ("copy.csv", "text/csv", b"a,b\n1,2\n"),
    ]
    assert gateway.sent == [(None, [{"id": "attachment-1"}, {"id": "attachment-2"}]), ("Still here.", [])]
    report = await replay_stored(engine, lambda _: bot, since=play.clock() - timedelta(hours=1))
    assert [each.result for each in report.dialogs] == ["ok"]


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


async def test_a_url_is_fetched_as_the_users_files_are_and_tried_again(
    engine: AsyncEngine, tmp_path: Path, server: Served
) -> None:
    server.gives("/menu.pdf", PDF)
    server.turns["/menu.pdf"] = [b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"]

    async def bot(chat: Chat) -> None:
        await chat.say("Here.", attachments=[File(server.url("/menu.pdf", "127.0.0.1"))])
        await chat.receive()

    play, gateway = opened(engine, bot, tmp_path, Files(timeout=10, allow=("127.0.0.1",)))
    await played(play, "hi", "more")
    assert gateway.uploads == [Upload("menu.pdf", "application/pdf", PDF)]
    assert len(server.requests) == 2
    assert not any("x-api-key" in each.lower() for each in server.requests)


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        (File(path="/nowhere/menu.pdf"), "is there wherever the bot runs"),
        (File(path="/"), "is no file"),
        (File(b"", name="empty"), "is empty"),
        (File(b"x" * 2000, name="big"), "files.max_size in endpoints.yaml (1000B)"),
        (File("https://127.0.0.1:1/x"), "add its host to files.allow"),
    ],
)
async def test_a_file_that_can_not_be_had_is_the_bots_error_live_and_replayed(
    engine: AsyncEngine, tmp_path: Path, file: File, advice: str
) -> None:
    errors = []

    async def bot(chat: Chat) -> None:
        try:
            await chat.say("Here.", attachments=[file])
        except BotError as error:
            errors.append(str(error))
            await chat.say("I have no menu.")
        await chat.receive()
        await chat.say("More?")

    play, gateway = opened(engine, bot, tmp_path, Files(max_size=ByteSize(1000)))
    await played(play, "hi")
    assert advice in errors[0] and errors[0].startswith("attachments[0] ")
    play.services.files = FileService.open(Files(), Settings(home=tmp_path))
    await played(play, "and")
    assert gateway.sent == [("I have no menu.", []), ("More?", [])]
    assert errors == [errors[0]] * len(errors) and len(errors) >= 2
    assert objects(tmp_path) == []


async def test_a_bot_that_does_not_catch_it_fails_and_its_user_hears_so(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async def bot(chat: Chat) -> None:
        await chat.say("Here.", attachments=[File(path="/nowhere")])

    play, gateway = opened(engine, bot, tmp_path, on_error={"message": "Sorry."})
    await played(play, "hi")
    assert gateway.texts == ["Sorry."]
    [incident] = await play.rows("SELECT kind, detail FROM incident")
    assert incident.kind == "bot_failed" and "nowhere" not in str(incident.detail)


async def test_a_send_that_is_tried_again_uploads_nothing_again(engine: AsyncEngine, tmp_path: Path) -> None:
    play, gateway = opened(engine, says_bytes, tmp_path)
    gateway.answers = [Retry(None, 429, "slowly"), InDoubt(500, "HTTP 500")]
    await play.says("hi")
    await play.work()
    for _ in range(5):
        await play.later(5)
    assert len(gateway.uploads) == 1
    assert gateway.sent == [("The menu.", [{"id": "attachment-1"}])] * 3
    assert await play.statuses() == ["sent"]


@pytest.mark.parametrize("answer", [Retry(7, 429, "HTTP 429"), InDoubt(503, "HTTP 503", 7)])
async def test_an_upload_that_may_not_have_happened_is_tried_again_when_8x8_says(
    engine: AsyncEngine, tmp_path: Path, answer: Outcome
) -> None:
    play, gateway = opened(engine, says_bytes, tmp_path)
    gateway.upload_answers = [answer]
    await played(play, "hi")
    assert gateway.sent == []
    [row] = await play.rows("SELECT status, next_attempt_at FROM delivery")
    assert row.status == "waiting"
    assert row.next_attempt_at - play.clock() > timedelta(seconds=5)
    await play.later(8)
    assert gateway.sent == [("The menu.", [{"id": "attachment-1"}])]
    assert [row.outcome for row in await play.rows("SELECT outcome FROM delivery_attempt ORDER BY id")] == [
        "retry",
        "sent",
    ]


async def test_an_upload_that_is_refused_is_a_dead_letter_and_the_next_message_goes_on(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    play, gateway = opened(engine, says_bytes, tmp_path)
    gateway.upload_answers = [Refused(413, "HTTP 413")]
    await played(play, "hi", "and")
    assert await play.statuses() == ["dead", "sent"]
    assert gateway.sent == [("More?", [])]
    [incident] = await play.rows("SELECT kind, detail FROM incident")
    assert (incident.kind, incident.detail["reason"]) == ("dead_letter", "refused with 413: HTTP 413")


async def test_an_upload_that_is_not_authorised_pauses_the_endpoint(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    play, gateway = opened(engine, says_bytes, tmp_path)
    gateway.upload_answers = [Unauthorized(401, "HTTP 401")]
    await played(play, "hi")
    assert await play.statuses() == ["waiting"]
    assert [row.kind for row in await play.rows("SELECT kind FROM incident")] == ["endpoint_paused"]
    assert play.services.pauses.paused("support")
    await play.services.pauses.resume("support")
    await play.later(70)
    assert gateway.sent == [("The menu.", [{"id": "attachment-1"}])]


async def test_after_a_crash_at_any_commit_the_user_has_the_file_once_and_it_is_stored_once(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async def run(home: Path, point: Point | None) -> tuple[Taking, list[str], int, int]:
        await empty(engine)
        play, gateway = opened(engine, says_bytes, home)
        with crashing(play, point) as counting:
            await play.says("hi")
            await settled(play)
        rows = await play.value("SELECT count(*) FROM file")
        return gateway, await play.statuses(), rows, counting.count

    whole, _, _, count = await run(tmp_path / "whole", None)
    doubled = []
    for number, point in enumerate(points(count)):
        home = tmp_path / str(number)
        gateway, statuses, rows, _ = await run(home, point)
        where = f"{point} of {count}"
        assert statuses == ["sent"], where
        assert gateway.texts == ["The menu."], where
        assert gateway.sent[-1] == ("The menu.", [{"id": f"attachment-{len(gateway.uploads)}"}]), where
        assert (objects(home), rows) == ([PDF], 1), where
        if len(gateway.uploads) > 1:
            doubled.append(point)
    assert len(whole.uploads) == 1
    lost = {point.number for point in doubled if point.again is None}
    assert len(lost) <= 1, "8x8's id is lost with that commit alone that would have kept it"
    assert all(not point.after for point in doubled if point.again is None)


async def test_where_no_files_are_shown_a_link_to_it_is_in_the_text(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    play, gateway = opened(engine, says_bytes, tmp_path)
    await channel_is(play, "SMS")
    await played(play, "hi")
    [(text, attachments)] = gateway.sent
    assert attachments == [] and gateway.uploads == []
    found = re.fullmatch(
        r"The menu\.\n\nMenü\.pdf: https://parley\.example/files/(\w+)\?expires=(\d+)&signature=(\S+)",
        str(text),
    )
    assert found is not None
    files = play.services.files
    assert files is not None and files.links.opens(found[1], found[2], found[3], play.clock())
    [row] = await play.rows("SELECT key, state FROM file")
    assert row.state == "stored" and row.key.endswith(found[1]), "or the link would open nothing"
    assert objects(tmp_path) == [PDF]


async def test_a_question_may_have_files_and_is_repeated_without(engine: AsyncEngine, tmp_path: Path) -> None:
    async def bot(chat: Chat) -> None:
        count = await chat.ask("How many?", parse=int, attachments=[File(PDF, name="menu.pdf")])
        await chat.say(f"{count}.")

    play, gateway = opened(engine, bot, tmp_path)
    await played(play, "hi", "some", "2")
    sorry = "Sorry, I did not understand that. How many?"
    assert gateway.sent == [("How many?", [{"id": "attachment-1"}]), (sorry, []), ("2.", [])]


async def test_an_output_transformer_may_change_the_text_and_keep_the_file(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def louder(event: Any) -> Mapping[str, Any]:
        assert [file["name"] for file in event.rendered["attachments"]] == ["Menü.pdf"]
        return {**event.rendered, "text": event.rendered["text"].upper()}

    monkeypatch.setattr(services, "louder", louder, raising=False)
    transformers = {"output": "app.conversation.services:louder"}
    play, gateway = opened(engine, says_bytes, tmp_path, transformers=transformers)
    await played(play, "hi")
    assert gateway.sent == [("THE MENU.", [{"id": "attachment-1"}])]


async def test_files_are_erased_with_their_session_once_they_are_sent(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async def bot(chat: Chat) -> None:
        await chat.say("Here.", attachments=[File(PDF, name="menu.pdf")])
        await chat.end()

    play, gateway = opened(engine, bot, tmp_path, collect_conversations=False)
    await played(play, "hi")
    assert gateway.sent == [("Here.", [{"id": "attachment-1"}])]
    await erase_what_is_left(engine)
    files = play.services.files
    assert files is not None
    await purge(engine, files.store)
    assert await play.value("SELECT count(*) FROM file") == 0
    assert objects(tmp_path) == []


async def test_where_texts_are_encrypted_files_and_their_names_are(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, new_key())
    play, gateway = opened(engine, says_bytes, tmp_path, encrypt=True)
    await played(play, "hi")
    assert gateway.uploads == [Upload("Menü.pdf", "application/pdf", PDF)]
    [row] = await play.rows("SELECT key, name FROM file")
    assert row.key.endswith(".sealed") and name_of(row.name, row.key) == "Menü.pdf" != row.name
    [stored] = objects(tmp_path)
    assert PDF[:20] not in stored


async def test_a_file_that_was_deleted_before_it_was_sent_is_a_dead_letter(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    play, gateway = opened(engine, says_bytes, tmp_path)
    gateway.upload_answers = [Retry(None, 429, "HTTP 429")]
    await played(play, "hi")
    for path in (tmp_path / "files").rglob("*"):
        if path.is_file():
            path.unlink()
    await play.later(5)
    assert await play.statuses() == ["dead"] and gateway.sent == []
