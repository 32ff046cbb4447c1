"""Cards and quick replies on the sandbox's page: readable, used once, never a trap for the keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.sandbox.schema import ConversationView
from tests.browser.sandbox_page import (
    activities,
    card,
    eventually,
    needs_library,
    quick_replies,
    start,
)
from tests.sandbox_bench import Bench

TITLES = ("Send my order again", "Not now, thank you", "Talk to a person in sales")
#: Buttons of a card that don't show the whole of their title.
CUT_OFF = """() => [...document.querySelectorAll(".card .ac-pushButton")].filter((button) =>
    [button, ...button.querySelectorAll("*")].some((part) => part.scrollWidth > part.clientWidth)
    || button.getBoundingClientRect().right > button.closest(".card").getBoundingClientRect().right
).map((button) => button.innerText)"""
FOCUS = "document.activeElement.id"


def submits(*titles: str) -> list[dict[str, Any]]:
    return [{"type": "Action.Submit", "title": title, "data": {"chosen": title}} for title in titles]


@needs_library
@pytest.mark.parametrize("titles", [TITLES, (*TITLES, "Monday", "A" * 80)], ids=["three", "five"])
@pytest.mark.parametrize("device", ["page", "phone"])
def test_the_buttons_of_a_card_show_their_whole_titles(
    request: pytest.FixtureRequest, bench: Bench, device: str, titles: tuple[str, ...]
) -> None:
    page: Page = request.getfixturevalue(device)
    conversation = start(page, bench)
    bench.bot_says(conversation, cards=card(*submits(*titles)))
    expect(page.locator(".card .ac-pushButton")).to_have_text(list(titles))
    assert page.evaluate(CUT_OFF) == []


@needs_library
def test_a_double_click_submits_a_card_once(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    bench.bot_says(conversation, cards=card(*submits("Rate")))
    page.get_by_role("button", name="Rate").dblclick()
    eventually(lambda: activities(bench, "adaptiveCard/action"))
    expect(page.locator(".card.used")).to_contain_text("Sent")
    assert once_more(page, bench, conversation, "adaptiveCard/action") == 1


def test_a_double_click_chooses_a_quick_reply_once(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    bench.bot_says(conversation, "More?", cards=quick_replies("Yes", "No"))
    page.get_by_role("button", name="Yes").dblclick()
    eventually(lambda: activities(bench, "quickReply/action"))
    assert once_more(page, bench, conversation, "quickReply/action") == 1


def once_more(page: Page, bench: Bench, conversation: ConversationView, activity: str) -> int:
    """How often something was done, once everything after it has been done too."""
    bench.bot_says(conversation, "The end")
    expect(page.locator("#chat-messages")).to_contain_text("The end")
    bench.settle()
    return len(activities(bench, activity))


@needs_library
def test_what_was_not_sent_can_be_sent_again(forgiving_page: Page, bench: Bench) -> None:
    page = forgiving_page
    conversation = start(page, bench)
    bench.bot_says(conversation, "More?", cards=[*card(*submits("Rate")), *quick_replies("Yes")])
    page.route("**/user/*", lambda route: route.fulfill(status=503, json={"detail": "not now"}))
    for name in ("Rate", "Yes"):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#toasts")).to_contain_text("not now")
        page.locator(".toast").click()
    page.unroute("**/user/*")
    for name in ("Yes", "Rate"):
        page.get_by_role("button", name=name).click()
    eventually(lambda: activities(bench, "adaptiveCard/action"))
    assert len(activities(bench, "quickReply/action")) == 1


@needs_library
def test_after_a_choice_the_text_has_the_focus(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    bench.bot_says(conversation, cards=card(*submits("Rate")))
    page.get_by_role("button", name="Rate").press("Enter")
    expect(page.locator(".card.used")).to_contain_text("Sent")
    assert page.evaluate(FOCUS) == "chat-text"
    bench.bot_says(conversation, "More?", cards=quick_replies("Yes", "No"))
    page.get_by_role("button", name="Yes").press("Enter")
    expect(page.locator(".choice .bubble").last).to_have_text("Yes")
    assert page.evaluate(FOCUS) == "chat-text"


@needs_library
def test_on_a_touchscreen_a_choice_brings_up_no_keyboard(phone: Page, bench: Bench) -> None:
    conversation = start(phone, bench)
    bench.bot_says(conversation, "More?", cards=quick_replies("Yes", "No"))
    phone.get_by_role("button", name="Yes").tap()
    expect(phone.locator(".choice .bubble")).to_have_text("Yes")
    assert phone.evaluate(FOCUS) == "chat-messages"


@needs_library
def test_a_number_may_stay_empty_and_mistakes_are_red(page: Page, bench: Bench) -> None:
    conversation = start(page, bench)
    lamps = {"type": "Input.Number", "id": "lamps", "label": "Lamps", "min": 1, "max": 9}
    chairs = {
        **lamps,
        "id": "chairs",
        "label": "Chairs",
        "isRequired": True,
        "errorMessage": "1 to 9, please",
    }
    bench.bot_says(conversation, cards=card(*submits("Order"), body=[lamps, chairs]))
    page.get_by_role("button", name="Order").click()
    mistake = page.get_by_text("1 to 9, please", exact=True)
    expect(mistake).to_be_visible()
    bad = page.evaluate("getComputedStyle(document.querySelector('.ac-input-validation-failed')).borderColor")
    assert mistake.evaluate("each => getComputedStyle(each).color") == bad
    expect(page.locator(".ac-input-validation-failed")).to_have_count(1)
    page.get_by_label("Chairs").fill("2")
    page.get_by_role("button", name="Order").click()
    eventually(lambda: activities(bench, "adaptiveCard/action"))
    [value] = activities(bench, "adaptiveCard/action")
    assert value["data"]["chairs"] == "2" and not value["data"].get("lamps")
