"""A Chromium on the sandbox's page. Without one these tests are skipped, and say so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.sandbox_bench import Bench, bench_running

playwright_api = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium that the system has.

    Not for the whole session: while it is open its event loop runs in this thread, and async tests can't.
    """
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium is installed (looked for {', '.join(NAMES)})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    """A sandbox where nothing has happened yet; the test plays the bot."""
    shared_bench.fresh()
    return shared_bench


@pytest.fixture
def page(browser: Browser, bench: Bench) -> Iterator[Page]:
    """The page, connected. No script may fail on it and nothing may be blocked, whatever a test does."""
    yield from opened(browser, bench.url)


@pytest.fixture
def forgiving_page(browser: Browser, bench: Bench) -> Iterator[Page]:
    """The same, where calls may be refused."""
    yield from opened(browser, bench.url, refusals=True)


@pytest.fixture
def phone(browser: Browser, bench: Bench) -> Iterator[Page]:
    """The same on a phone."""
    yield from opened(browser, bench.url, width=390, height=800, touch=True)


def opened(
    browser: Browser,
    url: str,
    *,
    width: int = 1440,
    height: int = 900,
    touch: bool = False,
    refusals: bool = False,
) -> Iterator[Page]:
    """A page whose mistakes fail the test; calls that are refused too, unless `refusals` is set."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda line: mistakes.append(line.text) if line.type == "error" else None)
    page.goto(url)
    page.wait_for_selector(".live.on")
    yield page
    context.close()
    assert [each for each in mistakes if not (refusals and each.startswith("Failed to load resource"))] == []
