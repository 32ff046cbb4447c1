"""Writing on the sandbox's page: what was sent is seen, what wasn't is kept, the keyboard has a place."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from app.sandbox import calls
from tests.browser.sandbox_page import eventually, hand_over, quick_replies, start, write
from tests.sandbox_bench import Bench

AT_THE_END = "list => list.scrollHeight - list.scrollTop - list.clientHeight < 5"


def scroll_up(page: Page, who: str) -> None:
    """The reader looks at what was said at first."""
    messages = page.locator(f"#{who}-messages")
    messages.evaluate("list => { list.scrollTop = list.scrollHeight }")
    messages.hover()
    page.mouse.wheel(0, -10_000)
    eventually(lambda: messages.evaluate("list => list.scrollTop === 0"))


def seen_at_the_end(page: Page, who: str, text: str) -> None:
    """What was said is the last thing in the list, and in sight."""
    expect(page.locator(f"#{who}-messages li").last).to_contain_text(text)
    expect(page.locator(f"#{who}-messages li").last).to_be_in_viewport()
    assert page.locator(f"#{who}-messages").evaluate(AT_THE_END)


def test_what_is_sent_while_scrolled_up_is_seen(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    for number in range(30):
        bench.control(calls.say(conversation.id, f"Message {number}"))
    bench.bot_says(conversation, "More?", cards=quick_replies("Yes", "No"))
    expect(page.get_by_role("button", name="Yes")).to_be_enabled()
    scroll_up(page, "chat")
    page.get_by_role("button", name="Yes").evaluate("button => button.click()")
    seen_at_the_end(page, "chat", "Yes")
    scroll_up(page, "chat")
    write(page, "And another thing")
    seen_at_the_end(page, "chat", "And another thing")
    scroll_up(page, "chat")
    files = [{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"a lamp"}]
    page.locator("#chat-file").set_input_files(files)  # type: ignore[arg-type]  # a FilePayload
    seen_at_the_end(page, "chat", "notes.txt")

    hand_over(bench, conversation)
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#desk-text")).to_be_focused()
    scroll_up(page, "desk")
    write(page, "Good morning", who="desk")
    seen_at_the_end(page, "desk", "Good morning")


def test_what_was_not_sent_is_kept_with_its_conversation(page: Page, bench: Bench) -> None:
    first = start(page, bench, "Ada Lovelace")
    text = page.locator("#chat-text")
    text.fill("A secret of Ada's")
    second = start(page, bench, "Mary Shaw")
    expect(text).to_have_value("")
    text.fill("Something of Mary's")
    choice = page.locator("#chat-choice")
    choice.select_option(first.id)
    expect(text).to_have_value("A secret of Ada's")
    choice.select_option(second.id)
    expect(text).to_have_value("Something of Mary's")


def test_without_a_conversation_no_file_can_be_sent_and_it_looks_so(page: Page, bench: Bench) -> None:
    opacity = "getComputedStyle(document.querySelector('.composer .file')).opacity"
    assert page.evaluate(opacity) != "1"
    start(page, bench)
    assert page.evaluate(opacity) == "1"


def test_after_a_transfer_the_focus_is_on_the_desk(page: Page, bench: Bench) -> None:
    hand_over(bench, start(page, bench))
    page.get_by_role("button", name="Accept").press("Enter")
    expect(page.locator("#desk-text")).to_be_focused()
    page.get_by_role("button", name="Transfer").press("Enter")
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    expect(page.locator("#desk").locator(":focus")).to_have_count(1)
    page.get_by_role("button", name="Accept").press("Enter")
    expect(page.get_by_role("button", name="End chat")).to_be_enabled()
    page.get_by_role("button", name="End chat").press("Enter")
    expect(page.locator("#chat-facts")).to_contain_text("ended")
    expect(page.locator("#desk").locator(":focus")).to_have_count(1)
    assert page.evaluate("document.activeElement.tagName") != "BODY"


def test_the_desk_keeps_what_has_the_focus_while_others_come_and_go(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    hand_over(bench, conversation)
    accept = page.get_by_role("button", name="Accept")
    accept.focus()
    accept.evaluate("button => { window.before = button }")
    bench.control(calls.user_typing(conversation.id))
    bench.control(calls.start(user={"name": "Mary Shaw"}))
    expect(page.locator("#chat-choice")).to_contain_text("Mary Shaw")
    assert page.evaluate("window.before === document.activeElement && window.before.isConnected")
