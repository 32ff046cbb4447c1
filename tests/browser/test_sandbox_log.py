"""The live log and the faults panel of the sandbox's page."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page, Route, expect

from app.sandbox import calls
from app.sandbox.faults import RestError, WebhookDuplicate
from app.sandbox.schema import RawEvent
from tests.browser.sandbox_page import eventually, hand_over, start, write
from tests.sandbox_bench import Bench, path


def test_a_call_that_a_fault_fails_is_red(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    bench.control(calls.set_faults(RestError(status=429, count=1)))
    assert bench.bot_says(conversation, "Busy?").status_code == 429
    page.get_by_label("Show").select_option("bad")
    entry = page.locator(".entry")
    expect(entry).to_have_count(1)
    expect(entry).to_contain_text("429")
    assert entry.evaluate("each => each.classList.contains('bad')")


def test_a_signature_is_accepted_only_by_who_takes_the_event(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    answer = [200]
    bench.sink.answer = lambda hook: answer[0]
    for status, verdict in (
        (503, "not known, the answer was 503"),
        (401, "not accepted by the endpoint"),
        (200, ": accepted"),
    ):
        answer[0] = status
        event: dict[str, object] = {"eventType": "MESSAGE", "data": {"text": f"Answered {status}"}}
        bench.control(calls.send_event(conversation.id, RawEvent(event=event, signature="valid")))
        entry = page.locator(".entry", has_text=f"“Answered {status}”")
        entry.locator("summary").click()
        expect(entry.locator(".detail")).to_contain_text(verdict)


def test_a_line_says_what_was_said_and_keeps_its_columns(page: Page, phone: Page, bench: Bench) -> None:
    bench.control(calls.set_faults(WebhookDuplicate(copies=2, count=3)))
    bench.sink.answer = lambda hook: 503 if len(bench.sink.hooks) < 3 else 200
    conversation = start(page, bench)
    bench.bot_says(conversation, "Good morning")
    hand_over(bench, conversation)
    assert bench.bot_says(conversation, "", cards=[]).status_code == 400
    call = page.locator(".entry", has=page.get_by_text("POST messages · “Good morning”"))
    expect(call).to_have_count(1)
    expect(page.locator(".entry", has_text="PATCH conversation · queue 101")).to_have_count(1)
    expect(page.locator(".entry", has_text="webhook duplicate")).not_to_have_count(0)
    expect(page.locator(".entry", has_text="refused 400")).to_have_count(1)
    expect(page.locator(".entry", has_text="webhook duplicate").filter(has_text="retr")).not_to_have_count(0)
    places = """each => [...each].map(
        (one) => [one.getBoundingClientRect().left, one.closest(".entry").innerText])"""
    found = page.locator(".entry .who").evaluate_all(places)
    lefts = [left for left, _ in found]
    assert max(lefts) - min(lefts) < 1, found

    phone.get_by_role("button", name="Log").click()
    what = phone.locator(".entry .what", has_text="POST messages · “Good morning”")
    assert what.evaluate(
        "each => each.scrollWidth <= each.clientWidth && each.scrollHeight <= each.clientHeight"
    )


def test_what_happens_while_everything_is_loaded_is_not_lost(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    held: list[Route] = []
    page.route("**/sandbox/api/keys", lambda route: held.append(route))
    with (
        page.expect_response("**/sandbox/api/rest?*"),
        page.expect_response("**/sandbox/api/conversations?*"),
    ):
        page.reload()
    eventually(lambda: looked(page, held))
    bench.bot_says(conversation, "Meanwhile")
    line = page.locator(".entry", has_text="POST messages · “Meanwhile”")
    expect(line).to_have_count(1)
    held[0].continue_()
    expect(page.locator("#live-text")).to_have_text("Live")
    expect(page.locator("#chat-messages")).to_contain_text("Meanwhile")
    expect(line).to_have_count(1)


def looked(page: Page, held: list[Route]) -> list[Route]:
    """What is held by now; the browser is given time to ask."""
    page.wait_for_timeout(20)
    return held


def test_a_conversation_that_could_not_be_loaded_is_loaded_the_next_time(
    forgiving_page: Page, bench: Bench
) -> None:
    page = forgiving_page
    first = start(page, bench, "Ada Lovelace")
    write(page, "Here I am")
    start(page, bench, "Mary Shaw")
    page.reload()
    expect(page.locator("#chat-choice option:checked")).to_contain_text("Mary Shaw")
    page.route("**/messages", lambda route: route.fulfill(status=503))
    choice = page.locator("#chat-choice")
    choice.select_option(first.id)
    expect(page.locator(".toast")).to_have_count(1)
    page.unroute("**/messages")
    choice.select_option(label="Mary Shaw · acme01 · WebChat")
    choice.select_option(first.id)
    expect(page.locator("#chat-messages")).to_contain_text("Here I am")


def test_the_page_tries_again_when_loading_fails(forgiving_page: Page, bench: Bench) -> None:
    page = forgiving_page
    page.route("**/sandbox/api/keys", lambda route: route.fulfill(status=503))
    page.reload()
    expect(page.locator("#live-text")).to_contain_text("trying again")
    page.unroute("**/sandbox/api/keys")
    expect(page.locator("#live-text")).to_have_text("Live")


def test_the_faults_panel_stands_still_and_shows_all_of_itself(page: Page, bench: Bench) -> None:
    start(page, bench)
    preset = page.get_by_role("button", name="REST 429 ×3")
    before = preset.bounding_box()
    body = page.locator(".faults-body").bounding_box()
    keys = page.locator("#keys-forget").bounding_box()
    assert body and keys and keys["y"] + keys["height"] <= body["y"] + body["height"]
    preset.click()
    expect(page.locator("#faults-active")).to_contain_text("status 429")
    expect(page.locator("#faults-on")).to_have_text("1 on")
    assert preset.bounding_box() == before
    page.get_by_text("Any fault…").click()
    lefts = "each => new Set([...each].map((one) => Math.round(one.getBoundingClientRect().left))).size"
    fields = page.locator("#faults-form label:not(.check) :is(input, select)")
    assert fields.count() > 5 and fields.evaluate_all(lefts) == 1


def test_removing_a_fault_leaves_the_focus_on_the_panel(page: Page, bench: Bench) -> None:
    start(page, bench)
    bench.control(calls.set_faults(RestError(status=500), WebhookDuplicate(copies=2)))
    remove = page.locator("#faults-active").get_by_role("button", name="Remove")
    expect(remove).to_have_count(2)
    remove.first.press("Enter")
    expect(remove).to_have_count(1)
    assert remove.evaluate("button => button === document.activeElement")
    remove.press("Enter")
    expect(remove).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "faults-off"


def test_a_wrong_value_is_named(forgiving_page: Page, bench: Bench) -> None:
    page = forgiving_page
    start(page, bench)
    page.get_by_text("Any fault…").click()
    page.get_by_label("Milliseconds").fill("0.5")
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator(".toast")).to_contain_text("Expected `int`")
    expect(page.locator(".toast")).to_contain_text("ms")


def test_a_file_can_be_had_after_its_link_has_expired(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    files = [{"name": "plan.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"}]
    page.locator("#chat-file").set_input_files(files)  # type: ignore[arg-type]  # a FilePayload
    link = page.get_by_role("link", name="plan.svg")
    expect(link).to_be_visible()
    assert page.locator(".attachment img").count() == 0
    href = link.get_attribute("href") or ""
    assert "expires" not in href and "signature" not in href
    assert httpx.get(bench.url + href, trust_env=False).content == b"<svg/>"
    unknown = httpx.get(
        f"{bench.url}/sandbox/api/conversations/{conversation.id}/files/none", trust_env=False
    )
    assert unknown.status_code == 404
    assert path(conversation) not in href
