"""What a person does on the sandbox's page, in a real browser; the test plays the bot."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from app.sandbox import calls
from app.sandbox.client import SandboxClient
from app.sandbox.config import SandboxConfig, TenantConfig
from app.sandbox.server import running
from tests.browser.conftest import opened
from tests.browser.sandbox_page import (
    ADAPTIVE,
    CARD,
    QUICK,
    activities,
    eventually,
    hand_over,
    needs_library,
    start,
    write,
)
from tests.sandbox_bench import Bench, path


def test_a_customer_chats_with_the_bot(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    assert conversation.user["name"] == "Ada Lovelace"
    assert conversation.user["email"] == "ada@example.com"
    write(page, "Where is my order?")
    eventually(lambda: "Where is my order?" in bench.sink.texts())
    typing = path(conversation, "typing")
    assert bench.http.post(typing, json={"authorType": "bot"}).status_code == 204
    expect(page.locator("#chat-indicator")).to_have_text("The bot is typing…")
    assert bench.bot_says(conversation, "What is its number?").status_code == 202
    messages = page.locator("#chat-messages .bubble")
    expect(messages).to_have_text(["Where is my order?", "What is its number?"])
    expect(page.locator("#chat-indicator")).to_be_hidden()
    page.reload()
    expect(messages).to_have_text(["Where is my order?", "What is its number?"])


def test_what_others_write_is_never_markup(page: Page, bench: Bench) -> None:
    conversation = start(page, bench, name="<b>Ada</b>")
    text = "<img src=x onerror=document.title='broken'> <script>document.title='broken'</script>"
    bench.bot_says(conversation, text)
    expect(page.locator("#chat-messages .bubble")).to_have_text(text)
    assert page.locator("#chat-messages img, #chat-messages script, #chat b").count() == 0
    assert "broken" not in page.title()


def test_quick_replies_are_clicked_once(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    options = [{"title": "Yes", "data": {"postback": "yes!"}}, {"title": "No", "data": {"postback": "no!"}}]
    bench.bot_says(conversation, "More?", cards=[{"contentType": QUICK, "content": {"options": options}}])
    page.get_by_role("button", name="Yes").click()
    value = {"type": "postback", "data": {"title": "Yes", "payload": "yes!"}}
    eventually(lambda: activities(bench, "quickReply/action") == [value])
    expect(page.locator(".choice .bubble")).to_have_text("Yes")
    expect(page.get_by_role("button", name="No", exact=True)).to_be_disabled()


@needs_library
def test_a_card_is_drawn_filled_in_and_submitted(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    bench.bot_says(conversation, cards=[{"contentType": ADAPTIVE, "content": CARD}])
    expect(page.get_by_text("How did we do?", exact=True)).to_be_visible()
    page.get_by_label("Comment").fill("Very well")
    page.get_by_role("button", name="Rate").click()
    value = {"type": "Action.Submit", "data": {"form": "rating", "comment": "Very well"}}
    eventually(lambda: activities(bench, "adaptiveCard/action") == [value])
    expect(page.locator(".card.used")).to_contain_text("Sent")


def test_without_the_library_a_card_is_shown_as_text(page: Page, bench: Bench) -> None:
    page.route("**/vendor/*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    conversation = start(page, bench)
    bench.bot_says(conversation, cards=[{"contentType": ADAPTIVE, "content": CARD}])
    card = page.locator(".card")
    expect(card).to_contain_text("How did we do?")
    expect(card).to_contain_text("[Comment]")
    expect(card).to_contain_text("make page")
    card.get_by_text("JSON").click()
    expect(card.locator("pre")).to_contain_text('"Action.Submit"')


def test_files_go_up_and_come_down(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    picture = page.screenshot()
    files = [{"name": "lamp.png", "mimeType": "image/png", "buffer": picture}]
    page.locator("#chat-file").set_input_files(files)  # type: ignore[arg-type]  # a FilePayload
    image = page.get_by_role("img", name="lamp.png")
    expect(image).to_be_visible()
    eventually(lambda: image.evaluate("image => image.naturalWidth") == 1440)
    [message] = bench.control(calls.messages(conversation.id, author="user")).messages
    assert (message.attachments[0].file_name, message.attachments[0].size) == ("lamp.png", len(picture))
    with page.expect_download() as download:
        page.get_by_role("link", name="lamp.png").click()
    assert download.value.path().read_bytes() == picture


def test_a_conversation_is_handed_over_to_the_agents_desk(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    write(page, "A person, please")
    hand_over(bench, conversation)
    expect(page.locator("#queues")).to_contain_text("Support (101)")
    page.get_by_label("You are").fill("grace")
    page.get_by_role("button", name="Accept").click()
    about = page.locator("#desk-about")
    for text in ("ada@example.com", "last_order", "A-1001", "<b>wants a lamp</b>"):
        expect(about).to_contain_text(text)
    expect(page.locator("#desk-messages")).to_contain_text("A person, please")
    write(page, "Good morning", who="desk")
    expect(page.locator("#chat-messages .agent .bubble")).to_have_text("Good morning")
    expect(page.locator("#chat-facts")).to_contain_text("with grace")

    page.get_by_label("Transfer to").select_option(label="Billing (103)")
    page.get_by_label("events").select_option("transfer_first")
    page.get_by_role("button", name="Transfer").click()
    expect(page.locator("#queues")).to_contain_text("Billing (103)")
    bench.settle()
    kinds = [event["eventType"] for event in bench.sink.events()]
    assert kinds.index("TRANSFER") < len(kinds) - 1 - kinds[::-1].index("MEMBERS_CHANGED")

    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="End chat").click()
    expect(page.locator("#chat-facts")).to_contain_text("ended")
    assert bench.control(calls.conversation(conversation.id)).state == "idle"


def test_the_log_shows_webhooks_and_refused_calls_and_sends_again(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    write(page, "Log this")
    assert bench.http.post(path(conversation, "messages"), json={"authorType": "bot"}).status_code == 400
    refused = page.locator(".entry.bad")
    expect(refused).to_contain_text("refused 400")
    refused.locator("summary").click()
    expect(refused.locator(".detail")).to_contain_text("A message needs text, attachments or cards")
    refused.get_by_role("button", name="Send again").click()
    expect(page.locator(".entry.bad")).to_have_count(2)

    page.get_by_label("Show").select_option("webhook")
    entry = page.locator(".entry", has_text="“Log this”")
    entry.locator("summary").click()
    detail = entry.locator(".detail")
    for text in ("x-8x8-signature", "published", "200: taken", '"text": "Log this"'):
        expect(detail).to_contain_text(text)
    entry.get_by_role("button", name="Send again").click()
    expect(page.locator(".entry", has_text="“Log this”")).to_have_count(2)
    hooks = [hook for hook in bench.sink.hooks if b"Log this" in hook.body]
    assert len({hook.headers["x-8x8-event-id"] for hook in hooks}) == 1 and len(hooks) == 2


def test_a_webhook_that_fails_shows_its_retries(page: Page, bench: Bench) -> None:
    start(page, bench)
    left = [401, 500]
    bench.sink.answer = lambda hook: left.pop(0) if left and b"Twice" in hook.body else 200
    write(page, "Twice")
    entry = page.locator(".entry", has_text="“Twice”")
    expect(entry).to_contain_text("2 retries")
    entry.locator("summary").click()
    expect(entry.locator(".detail")).to_contain_text("401: signature, age or tenant not accepted")


def test_faults_are_switched_on_and_off_and_keys_rotated(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    page.get_by_role("button", name="REST 500, 10 s").click()
    active = page.locator("#faults-active")
    expect(active).to_contain_text("rest error, for seconds 10, status 500 · on")
    assert bench.bot_says(conversation).status_code == 500
    expect(active).to_contain_text("applied 1×")
    active.get_by_role("button", name="Remove").click()
    expect(active).to_have_text("No fault is on.")
    assert bench.bot_says(conversation).status_code == 202

    page.get_by_text("Any fault…").click()
    page.locator("#faults-form [name=kind]").select_option("webhook_delay")
    page.get_by_label("Milliseconds").fill("50")
    page.get_by_label("Times at most").fill("3")
    page.get_by_label("only the customer's conversation").check()
    page.get_by_role("button", name="Switch on").click()
    expect(active).to_contain_text("webhook delay")
    [view] = bench.control(calls.faults()).faults
    assert (view.fault.count, view.fault.conversation) == (3, conversation.id)
    page.get_by_role("button", name="All off").click()
    expect(active).to_have_text("No fault is on.")

    before = bench.control(calls.keys()).current
    page.get_by_role("button", name="Rotate key").click()
    eventually(lambda: bench.control(calls.keys()).current != before)
    expect(page.locator("#keys-text")).to_contain_text("2 published")


def test_everything_can_be_done_with_the_keyboard(page: Page, bench: Bench) -> None:
    page.keyboard.press("Enter")  # the focus is on “New conversation”
    page.keyboard.press("Control+A")
    page.keyboard.type("Grace Hopper")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-text")).to_be_focused()
    [conversation] = bench.control(calls.conversations()).conversations
    assert conversation.user["name"] == "Grace Hopper"
    page.keyboard.type("Two")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lines")
    page.keyboard.press("Enter")
    eventually(lambda: "Two\nlines" in bench.sink.texts())
    hand_over(bench, conversation)
    accept = page.get_by_role("button", name="Accept")
    expect(accept).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if accept.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#desk-text")).to_be_focused()


def test_who_accepts_can_write_at_once_also_where_the_stream_is_late(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    hand_over(bench, conversation)
    page.route("**/agent/accept", lambda route: route.fulfill(status=200, json={}))  # nobody has accepted yet
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#desk-form")).to_be_visible()
    expect(page.locator("#desk-text")).to_be_disabled()
    bench.control(calls.accept(conversation.id, agent="agent-1"))
    expect(page.locator("#desk-text")).to_be_focused()


def test_on_a_phone_one_part_is_shown_at_a_time_and_nothing_sticks_out(phone: Page, bench: Bench) -> None:
    conversation = start(phone, bench)
    bench.bot_says(conversation, "A long word: " + "x" * 300)
    hand_over(bench, conversation)
    for name in ("Customer", "Agent", "Log", "Faults"):
        phone.get_by_role("navigation", name="Parts").get_by_role("button", name=name).click()
        expect(phone.locator("main .pane:visible")).to_have_count(1)
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_the_colours_can_be_chosen_and_are_kept(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(colour)
    assert light != dark
    page.get_by_role("button", name="Colours: as the system").click()
    assert page.evaluate(colour) == light
    page.reload()
    assert page.evaluate(colour) == light
    page.get_by_role("button", name="Colours: light").click()
    assert page.evaluate(colour) == dark


def test_resetting_forgets_everything_on_the_page_too(page: Page, bench: Bench) -> None:
    start(page, bench)
    write(page, "Forget me")
    expect(page.locator("#chat-messages")).to_contain_text("Forget me")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#chat-messages")).to_contain_text("Start a conversation")
    expect(page.locator("#entries")).to_contain_text("Nothing yet")


def test_the_page_finds_a_sandbox_that_was_started_again(browser: Browser) -> None:
    config = SandboxConfig(tenants=[TenantConfig("acme01", "page-test-key")])
    with running(config) as url:
        pages = opened(browser, url)
        page = next(pages)
    expect(page.locator("#live-text")).to_contain_text("Not connected")
    with running(config, port=int(url.rpartition(":")[2])), SandboxClient(url) as sandbox:
        expect(page.locator("#live-text")).to_have_text("Live")
        sandbox(calls.start(user={"name": "Mary Shaw"}))
        expect(page.locator("#chat-choice")).to_contain_text("Mary Shaw")
    page.context.close()
