"""Files on their whole way, in a browser: from the sandbox's page to a bot, and from the bot to the page."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.running import NO_PREFECT, Parley
from tests.browser.conftest import opened

BOT = '''
import hashlib

from app.bot import Chat, File, FileLink


async def files(chat: Chat) -> None:
    """Says the digest of each file that comes, and gives it back as a link."""
    await chat.say("Send me a file.")
    while True:
        for file in (await chat.receive()).attachments:
            await chat.say(f"{file.name} {file.type} {hashlib.sha256(await file.read()).hexdigest()}")
            await chat.say(FileLink(file.url, "Your own file"))
            receipt = f"{file.name}: {file.size} bytes".encode()
            await chat.say("Your receipt.", attachments=[File(bytes=receipt, name="receipt.txt")])
'''
PATIENCE_MS = 30_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parley]:
    """A `parley up` with a bot that takes files and sends some."""
    folder = tmp_path_factory.mktemp("files-on-the-page")
    running = Parley(folder, {"PARLEY_ENDPOINTS": str(folder / "endpoints.yaml"), **NO_PREFECT})
    (folder / "page_file_bots.py").write_text(BOT)
    endpoint = {
        "name": "files",
        "token": "sandbox-files-token",
        "flow": "page_file_bots:files",
        "eightxeight": {
            "base_url": running.sandbox_url,
            "api_key": "sandbox-files-key",
            "tenant": "sandbox-files",
        },
    }
    (folder / "endpoints.yaml").write_text(json.dumps({"endpoints": [endpoint]}))
    try:
        running.start()
        running.wait_until_ready()
        yield running
    finally:
        running.kill_everything()


@pytest.fixture
def talk(browser: Browser, parley: Parley) -> Iterator[Page]:
    """The page with a conversation in which the bot has said that it waits for a file."""
    for page in opened(browser, parley.sandbox_url):
        page.get_by_role("button", name="New conversation").click()
        page.get_by_role("button", name="Start", exact=True).click()
        page.locator("#chat-text").fill("Hello")
        page.locator("#chat-text").press("Enter")
        expect(page.locator("#chat-messages")).to_contain_text("Send me a file.", timeout=PATIENCE_MS)
        yield page


def upload(page: Page, name: str, media_type: str, content: bytes) -> None:
    """The customer sends a file."""
    files = [{"name": name, "mimeType": media_type, "buffer": content}]
    page.locator("#chat-file").set_input_files(files)  # type: ignore[arg-type]  # a FilePayload


def test_a_file_that_is_sent_on_the_page_reaches_the_bot_and_its_link_opens_it(talk: Page) -> None:
    content = b"%PDF-1.7\n" + os.urandom(200_000)
    upload(talk, "claim.pdf", "application/pdf", content)
    said = talk.locator("#chat-messages .bot .bubble")
    digest = hashlib.sha256(content).hexdigest()
    expect(said.filter(has_text=digest)).to_have_text(
        f"claim.pdf application/pdf {digest}", timeout=PATIENCE_MS
    )
    expect(talk.locator(".entry", has_text="MESSAGE · user · claim.pdf").first).to_be_visible()

    card = talk.locator("#chat-messages .card").last
    card.get_by_text("JSON").click()
    shown = json.loads(card.locator("pre").inner_text())
    links = [action["url"] for action in shown.get("actions", []) if action["type"] == "Action.OpenUrl"]
    assert talk.request.get(links[0]).body() == content


def test_a_file_that_the_bot_sends_is_opened_on_the_page(talk: Page) -> None:
    upload(talk, "claim.pdf", "application/pdf", b"%PDF-1.7\nshort")
    expect(talk.locator("#chat-messages .bot .bubble").last).to_have_text(
        "Your receipt.", timeout=PATIENCE_MS
    )
    with talk.expect_download() as download:
        talk.locator("#chat-messages .bot").get_by_role("link", name="receipt.txt").click()
    assert download.value.suggested_filename == "receipt.txt"
    assert download.value.path().read_bytes() == b"claim.pdf: 14 bytes"
    expect(talk.locator(".entry", has_text="“Your receipt.” · receipt.txt").first).to_be_visible()
