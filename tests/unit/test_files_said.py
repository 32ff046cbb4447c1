"""Files as a bot says them: what a File is, what becomes of it in a unit test, and how it is uploaded."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from app.bot import BotError, Chat, File
from app.conversation.driver import DialogStart
from app.conversation.needs import Failed, Receive, StoreFiles
from app.conversation.replay_check import Fits, check
from app.files.outgoing import key_of
from app.gateway.client import GatewayClient
from app.gateway.multipart import Upload, multipart
from app.gateway.outcome import Refused, Sent
from app.testing import converse
from tests.unit.driving import START, driver, entry, user
from tests.unit.test_gateway_client import endpoint, reply


def test_a_file_is_a_path_bytes_or_an_address() -> None:
    assert File("menu.pdf") == File(path="menu.pdf") == File(Path("menu.pdf"))
    assert File("in/menu.pdf").source == Path("in/menu.pdf")
    assert File("in/menu.pdf").name == "menu.pdf"
    assert File(b"x", name="x.txt") == File(bytes=b"x", name="x.txt")
    assert File("https://shop.example/a/Men%C3%BC.pdf?x=1") == File(
        url="https://shop.example/a/Men%C3%BC.pdf?x=1"
    )
    assert File("https://shop.example/a/Men%C3%BC.pdf?x=1").name == "Menü.pdf"
    assert File("https://shop.example").name == "file"
    assert File("https://shop.example", name="menu.pdf").name == "menu.pdf"
    assert File(path="https://odd").source == Path("https://odd")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "one of a path"),
        ({"path": "a", "url": "https://b.example"}, "one of a path"),
        ({"bytes": b"x"}, "needs a name"),
        ({"source": 3}, "not a int"),
        ({"url": "ftp://x.example/y"}, "https://"),
        ({"url": "https://"}, "https://"),
        ({"source": ""}, "path is empty"),
        ({"path": "a\0b"}, "NUL"),
        ({"path": "a", "name": "../b"}, "no slash"),
        ({"path": "a", "name": "b\n"}, "no slash"),
        ({"path": "a", "name": "x" * 201}, "200 characters"),
        ({"path": "a", "name": " "}, "is empty"),
    ],
)
def test_what_is_no_file_fails_where_it_is_made(arguments: dict[str, Any], part: str) -> None:
    with pytest.raises(BotError, match=part):
        File(**arguments)


def test_a_file_shows_nothing_of_itself() -> None:
    assert "secret" not in repr(File(b"secret", name="a.txt"))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"attachments": "menu.pdf"}, "list of File"),
        ({"attachments": ["menu.pdf"]}, "not of a str"),
        ({"attachments": [File("a")] * 11}, "more than 10"),
        ({"attachments": []}, "nothing to say"),
        ({"raw": {"text": "x"}, "attachments": [File("a")]}, "stands alone"),
        ({"text": "x", "to": "agent", "attachments": [File("a")]}, "text alone"),
    ],
)
def test_what_can_not_be_attached_fails_where_it_is_said(arguments: dict[str, Any], part: str) -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(**arguments)

    with pytest.raises(BotError, match=part):
        converse(bot).says("hi")


def test_in_a_unit_test_files_are_told_by_name_type_and_size(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("a,b\n")

    async def bot(chat: Chat) -> None:
        files = [File(path), File(b"%PDF-1.7", name="menu.pdf"), File("https://shop.example/lamp.png")]
        await chat.say("Here.", attachments=files)
        await chat.ask("All right?", attachments=[File(b"x", name="x.txt")])
        await chat.say("Good.")

    talk = converse(bot)
    first, question = talk.says("hi")
    assert [(file.name, file.type, file.size) for file in first.attachments] == [
        ("prices.csv", "text/csv", 4),
        ("menu.pdf", "application/pdf", 8),
        ("lamp.png", "application/octet-stream", 0),
    ]
    assert (question.text, question.attachments[0].name) == ("All right?", "x.txt")
    assert talk.says("yes")[0].attachments == ()


def test_a_path_that_is_not_there_is_the_bots_error_in_a_unit_test_too() -> None:
    async def caught(chat: Chat) -> None:
        try:
            await chat.say(attachments=[File("/nowhere/menu.pdf")])
        except BotError:
            await chat.say("No menu.")
        await chat.receive()
        await chat.say("More?")

    async def not_caught(chat: Chat) -> None:
        await chat.say(attachments=[File("/nowhere/menu.pdf")])

    talk = converse(caught)
    assert [reply.text for reply in talk.says("hi")] == ["No menu."]
    assert [reply.text for reply in talk.says("and")] == ["More?"]
    with pytest.raises(BotError, match="worker can read"):
        converse(not_caught).says("hi")


async def sends(chat: Chat) -> None:
    await chat.say("Here.", attachments=[File("/nowhere")])
    await chat.receive()


KEPT: dict[str, Any] = {
    "attachments": [{"file": "ab/cd", "name": "x", "type": "text/plain", "size": 1, "url": "u"}]
}


def test_files_are_kept_before_the_bot_goes_on_and_asked_for_once() -> None:
    with driver(sends) as driven:
        need = driven.run()
        assert isinstance(need, StoreFiles)
        assert (need.position, need.files) == (1, (File("/nowhere"),))
        assert driven.run() == need and driven.drain() == []
        driven.attach(KEPT)
        assert isinstance(driven.run(), Receive)
        [(position, said)] = driven.drain()
        assert position == 1 and said.content["attachments"] == KEPT["attachments"]
        entries = list(driven.entries)
    with driver(sends, entries) as again:
        assert isinstance(again.run(), Receive) and again.drain() == []


def test_a_journal_of_files_fits_and_one_that_lacks_them_does_not_wait_there() -> None:
    begun = [user("hi")]
    said = entry("output", {"text": "Here.", "quick_replies": [], "card": None, "raw": None, **KEPT})
    dialog = DialogStart("d", 7, START)
    assert isinstance(check(sends, dialog, [*begun, said], status="waiting"), Fits)
    found = check(sends, dialog, begun, status="waiting")
    assert not isinstance(found, Fits | Failed) and "wants output" in str(getattr(found, "reason", ""))


def test_an_output_that_could_not_be_said_is_an_error_at_every_replay() -> None:
    failed = entry("output", {"text": "Here.", "unsaid": "attachments[0] is empty."})
    with driver(sends, [user("hi"), failed]) as driven:
        need = driven.run()
        assert isinstance(need, Failed) and "is empty" in str(need.error)


def test_keys_are_of_content_and_place_and_the_same_after_a_crash() -> None:
    assert key_of(b"a", 1, 2, sealed=False) == key_of(b"a", 1, 2, sealed=False)
    assert len({key_of(*each, sealed=False) for each in ((b"a", 1), (b"b", 1), (b"a", 2), (b"a", 1, 1))}) == 4


@pytest.mark.parametrize("name", ["menu.pdf", "Menü 1.pdf", 'a"b\r\nc.txt', "日本.txt"])
def test_a_file_is_multipart_form_data(name: str) -> None:
    content, kind = multipart(Upload(name, "application/pdf", b"\0\r\n--\xff"))
    message = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + content)
    parts: Any = message.get_payload()
    author, file = parts
    assert author.get_param("name", header="content-disposition") == "authorType"
    assert author.get_payload() == "bot"
    assert file.get_payload(decode=True) == b"\0\r\n--\xff"
    head = content.partition(b"attachment")[2].partition(b"\r\n")[0].decode()
    assert head.startswith('"; filename="') and head.count('"') == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"id": "att-1", "filename": "x"}', (Sent(200), "att-1")),
        (b'{"id": 7}', (Sent(200), "7")),
        (b"{}", (Refused(200, "the answer tells no id of the file"), None)),
        (b"nonsense", (Refused(200, "the answer tells no id of the file"), None)),
    ],
)
async def test_an_upload_gives_8x8s_id_of_the_file(body: bytes, expected: Any) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        asked.append(head + await reader.readexactly(length))
        writer.write(reply(200, body))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = GatewayClient()
        found = await client.upload(endpoint(url), "c/1", Upload("a.txt", "text/plain", b"abc"))
        await client.aclose()
    assert found == expected
    [request] = asked
    assert request.startswith(b"POST /chat-gateway/v1/conversations/c%2F1/attachments HTTP/1.1\r\n")
    assert b"Content-Type: multipart/form-data; boundary=" in request and b"\r\n\r\nabc\r\n--" in request
