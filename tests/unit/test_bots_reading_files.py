"""Bots that read files: in tests, under the linter, and what their journal keeps."""

from __future__ import annotations

import hashlib

import pytest

from app.bot import Attachment, Chat, FileUnavailable
from app.conversation.lint import lint_source
from app.testing import converse, sent_file


async def digests(chat: Chat) -> None:
    """Says the digest of each file that comes, and again what the first was."""
    first = await chat.message.attachments[0].read()
    await chat.say(hashlib.sha256(first).hexdigest())
    while True:
        message = await chat.receive()
        for file in message.attachments:
            await chat.say(hashlib.sha256(await file.read()).hexdigest())
        await chat.say(f"first {len(first)}")


def test_a_bot_reads_what_the_user_sends_in_a_test() -> None:
    talk = converse(digests)
    assert talk.says("", attachments=[sent_file(b"hello", name="a.txt")])[0].text == (
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    )
    replies = talk.says("", attachments=[sent_file(b"x"), sent_file(b"y")])
    assert [reply.text for reply in replies] == [
        hashlib.sha256(b"x").hexdigest(),
        hashlib.sha256(b"y").hexdigest(),
        "first 5",
    ]
    assert "hello" not in repr(talk.journal)


async def careful(chat: Chat) -> None:
    """Says why there is no file."""
    try:
        await chat.message.attachments[0].read()
    except FileUnavailable as error:
        await chat.say(error.reason)


def test_a_file_that_could_not_be_had_raises_with_its_reason() -> None:
    failed = Attachment(name="a.pdf", state="failed", reason="too_big")
    assert converse(careful).says("", attachments=[failed])[0].text == "too_big"
    assert converse(careful).says("", attachments=[Attachment(name="a.pdf")])[0].text == "not_fetched"


async def forgetful(chat: Chat) -> None:
    """Forgets the await."""
    chat.message.attachments[0].read()  # type: ignore[unused-coroutine]  # this is what is tried
    await chat.say("done")


@pytest.mark.filterwarnings("ignore:coroutine.*was never awaited")
def test_a_read_without_await_is_an_error() -> None:
    with pytest.raises(Exception, match="await"):
        converse(forgetful).says("", attachments=[sent_file(b"hello")])


LINTED = """
from app.bot import Attachment, Chat
async def size(file: Attachment) -> int:
    return len(await file.read())
async def bot(chat: Chat) -> None:
    for file in chat.message.attachments:
        await file.read()
    files = (await chat.receive()).attachments
    first = files[0]
    await first.read()
    [await each.read() for each in files]
    await size(first)
    {line}
"""


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("await files[1].read()", None),
        ("first.read()", "not-awaited"),
        ("await chat.other.read()", "await"),
        ("await response.read()", "await"),
        ("await first.read(10)", "await"),
    ],
)
def test_the_linter_knows_the_read_of_an_attachment_from_others(line: str, rule: str | None) -> None:
    found = lint_source(LINTED.format(line=line), "bot")
    assert [finding.rule for finding in found] == ([rule] if rule else [])
