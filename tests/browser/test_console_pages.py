"""The console in Chromium: charts, search, the transcript, redriving, keyboard, both themes, phones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.analytics.rollup import roll_up
from app.console.static import VENDOR
from tests.browser.console_stage import Stage, console_running
from tests.integration.scene import Scene
from tests.scratch import scratch

playwright_api = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

pytestmark = pytest.mark.timeout(180)
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A console with some conversations."""
    with scratch("console") as home, console_running(home) as stage:
        yield stage


def opened(
    browser: Browser, url: str, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Page]:
    """A page whose mistakes fail the test, and which asks nothing of anybody else."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="Europe/Berlin",
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda line: mistakes.append(line.text) if line.type == "error" else None)
    page.on("request", lambda one: mistakes.append(one.url) if not one.url.startswith(url) else None)
    page.goto(f"{url}/console")
    yield page
    context.close()
    assert mistakes == []


@pytest.fixture
def page(browser: Browser, stage: Stage) -> Iterator[Page]:
    """The console's first page."""
    yield from opened(browser, stage.url)


#: Headings of charts whose legend is not within their card.
SPILLS = """() => [...document.querySelectorAll(".chart:not(.empty)")].filter((chart) => {
    const card = chart.closest(".card").getBoundingClientRect();
    return chart.lastElementChild?.getBoundingClientRect().bottom > card.bottom;
}).map((chart) => chart.closest(".card").innerText)"""
needs_charts = pytest.mark.skipif(
    not VENDOR.exists(), reason="`make page` has not installed the charts' library"
)


@needs_charts
def test_the_overview_draws_its_charts_and_tells_them_as_a_table(page: Page) -> None:
    expect(page.locator(".chart canvas")).to_have_count(4)
    expect(page.locator(".tile", has_text="Sessions").locator("dd").first).to_have_text("16")
    page.get_by_text("The charts as a table").click()
    expect(page.locator("#series-table tbody tr").first).to_contain_text("16")
    expect(page.locator("#series-table tbody tr")).to_have_count(7 * 24 + 1)
    page.get_by_label("Span").select_option("24h")
    page.wait_for_url("**span=24h")
    expect(page.locator(".chart canvas")).to_have_count(4)


def test_the_overview_renews_itself(page: Page, stage: Stage) -> None:
    sessions = page.locator(".tile", has_text="Sessions").locator("dd").first
    before = int(sessions.inner_text())

    async def another(play: Scene) -> None:
        play.conversation = f"int-new-{before}"
        await play.says("One more")
        await play.work()
        await roll_up(play.engine, now=datetime.now(UTC))

    stage.run(another)
    expect(sessions).to_have_text(str(before + 1), timeout=15_000)


def test_a_conversation_is_found_and_read(page: Page) -> None:
    page.get_by_role("link", name="Conversations").click()
    page.get_by_label("Search").fill("int-human-chat-00-acme01")
    page.get_by_label("Search").press("Enter")
    expect(page.locator("table.list tbody tr")).to_have_count(1)
    page.get_by_role("link", name="int-human-chat-00-acme01").click()
    said = page.locator(".transcript li")
    expect(said.first).to_contain_text("I want a person")
    expect(page.locator(".transcript .agent")).to_contain_text("Hello, how can I help?")
    expect(page.locator(".timeline tr.handover").first).to_contain_text("queue 101")
    expect(page.locator(".timeline tr.agent").first).to_contain_text("agent-7")
    page.get_by_role("button", name="Ask 8x8").click()
    expect(page.get_by_text("8x8 does not tell")).to_be_visible()


def test_what_users_write_is_text_and_never_markup(page: Page) -> None:
    page.get_by_role("link", name="Conversations").click()
    page.get_by_role("link", name="int-1a2b3c-chat-00-acme01").click()
    expect(page.locator(".transcript .user .said")).to_contain_text("<script>alert(1)</script>")


def test_times_are_the_readers_own(page: Page) -> None:
    page.get_by_role("link", name="Conversations").click()
    shown = page.locator("table.list time").first
    expect(shown).to_have_text(re.compile(r"^\d\d/\d\d/\d{4}, \d\d:\d\d:\d\d$"))
    assert shown.get_attribute("title", timeout=1000).endswith("UTC")  # type: ignore[union-attr]


def test_what_renews_itself_leaves_the_focus_where_it_is(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/console/conversations")
    rows = page.locator("table.list tbody tr")
    before = rows.count()
    page.locator("#list .scroll").focus()

    async def another(play: Scene) -> None:
        play.conversation = f"int-focus-{before}"
        await play.says("One more")
        await play.work()

    stage.run(another)
    expect(rows).to_have_count(before + 1, timeout=15_000)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Sessions"
    link = page.get_by_role("link", name="int-human-chat-00-acme01")
    link.focus()
    before += 1
    stage.run(another)
    expect(rows).to_have_count(before + 1, timeout=15_000)
    assert page.evaluate("document.activeElement.textContent") == "int-human-chat-00-acme01"


def test_a_transcript_opens_at_its_newest_message_and_stays_there(page: Page, stage: Stage) -> None:
    async def talk(play: Scene) -> None:
        play.conversation = "int-long-chat-00-acme01"
        for number in range(25):
            await play.says(f"Line {number}")
            await play.work()

    stage.run(talk)
    page.goto(f"{stage.url}/console/conversations?q=int-long-chat-00-acme01")
    page.get_by_role("link", name="int-long-chat-00-acme01").click()
    at_end = "each => each.scrollTop > 0 && each.scrollHeight - each.scrollTop - each.clientHeight < 4"
    region = page.get_by_role("region", name="Transcript")
    expect(region).to_have_attribute("tabindex", "0")
    assert region.evaluate(at_end)
    region.focus()
    number = page.locator(".transcript li").count()
    stage.run(talk)
    expect(page.locator(".transcript li")).not_to_have_count(number, timeout=15_000)
    assert region.evaluate(at_end)
    assert page.evaluate("document.activeElement.getAttribute('aria-labelledby')") == "transcript"


def test_a_dead_letter_is_redriven_with_the_keyboard(page: Page) -> None:
    page.get_by_role("link", name="Dead letters").press("Enter")
    box = page.locator('input[name="delivery"]')
    expect(box).to_have_count(1)
    box.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    for _ in range(6):
        if page.evaluate("document.activeElement.textContent").strip() == "Redrive the chosen":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="1 will be sent again.")).to_be_visible()
    expect(page.get_by_text("There are none.")).to_be_visible()


def test_asking_8x8_says_when_it_fails_and_may_be_tried_again(browser: Browser, stage: Stage) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stage.url}/console/conversations/1")
    page.route("**/interactions", lambda route: route.fulfill(status=503))
    button = page.get_by_role("button", name="Ask 8x8")
    button.click()
    answer = page.locator("#interactions")
    expect(answer).to_have_text("That did not work. Try again.")
    expect(answer).to_have_attribute("role", "status")
    expect(button).to_be_enabled()
    page.unroute("**/interactions")
    page.route("**/interactions", lambda route: route.abort())
    button.click()
    expect(button).to_be_enabled()
    expect(answer).to_have_text("That did not work. Try again.")
    page.unroute("**/interactions")
    button.click()
    expect(answer).to_contain_text("8x8 does not tell")
    context.close()


def test_the_keyboard_reaches_everything_and_skips_the_menu(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("path", ["", "/conversations", "/conversations/1", "/dead-letters"])
def test_screen_readers_find_names_headings_and_landmarks(page: Page, stage: Stage, path: str) -> None:
    page.goto(f"{stage.url}/console{path}")
    assert page.evaluate("document.documentElement.lang") == "en"
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator("main")).to_have_count(1)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]),select,button,a,img,[role=img]")]
            .filter((each) => !(each.labels?.length || each.textContent.trim() || each.hasAttribute("alt")
                || each.getAttribute("aria-label") || each.getAttribute("aria-labelledby")))
            .map((each) => each.outerHTML)"""
    )
    assert unnamed == []
    without_scope = page.locator("main > :not(.charts) th:not([scope])")
    expect(without_scope).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", ["", "/conversations", "/conversations/16", "/dead-letters"])
def test_text_can_be_read_in_both_themes(browser: Browser, stage: Stage, path: str, dark: bool) -> None:
    """Contrast of 4.5 to 1 at least (WCAG AA), computed for every text on the page."""
    for page in opened(browser, stage.url, dark=dark):
        page.goto(f"{stage.url}/console{path}")
        weak = page.evaluate(CONTRAST)
        assert weak == []
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            page.wait_for_timeout(700)
            name = f"console{path.replace('/', '-')}-{'dark' if dark else 'light'}.png"
            page.screenshot(path=Path(folder) / name, full_page=True)


def test_a_phone_shows_it_all_without_scrolling_sideways(browser: Browser, stage: Stage) -> None:
    for page in opened(browser, stage.url, width=390, height=800):
        for path in ("", "/conversations", "/conversations/16", "/dead-letters"):
            page.goto(f"{stage.url}/console{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            if not path and VENDOR.exists():
                expect(page.locator(".chart canvas")).to_have_count(4)
            assert page.evaluate(SPILLS) == [], path
            if path in ("/conversations", "/dead-letters"):
                wide = "all => all.some((each) => each.scrollWidth > each.clientWidth)"
                assert not page.locator(".scroll").evaluate_all(wide), (
                    f"{path}: rows are read without scrolling"
                )
            header = page.locator("header").bounding_box()
            assert header is not None and header["height"] <= 100, "the menu leaves room for the page"
            folder = os.environ.get("SCREENSHOTS")
            if folder:
                page.screenshot(
                    path=Path(folder) / f"console{path.replace('/', '-')}-phone.png", full_page=True
                )


def test_one_logs_in_and_out(browser: Browser, tmp_path: Path) -> None:
    with console_running(tmp_path, console_password=PASSWORD) as locked:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{locked.url}/console/conversations")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        context.close()


CONTRAST = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const each = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * each[0] + 0.7152 * each[1] + 0.0722 * each[2];
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const found = parts(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const left = "script, .skip, .u-legend";
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest(left)) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${ratio.toFixed(1)}: ${text.slice(0, 40)}`);
  }
  return weak;
}"""
