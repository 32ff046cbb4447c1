"""What the tests of the sandbox's page share: a person's doings, and the bot's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.sandbox import calls
from app.sandbox.page.handlers import VENDOR
from app.sandbox.schema import ConversationView
from tests.sandbox_bench import Bench, path

QUICK = "application/8x8.quick.replies"
ADAPTIVE = "application/vnd.microsoft.card.adaptive"
CARD = {
    "type": "AdaptiveCard",
    "version": "1.3",
    "body": [
        {"type": "TextBlock", "text": "How did we do?"},
        {"type": "Input.Text", "id": "comment", "label": "Comment"},
    ],
    "actions": [{"type": "Action.Submit", "title": "Rate", "data": {"form": "rating"}}],
}
needs_library = pytest.mark.skipif(
    not (VENDOR / "adaptivecards.min.js").exists(), reason="the card library is not installed: make page"
)


def start(page: Page, bench: Bench, name: str = "Ada Lovelace") -> ConversationView:
    """Start a conversation through the form."""
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#chat-choice option:checked")).to_contain_text(name)
    [conversation, *_] = bench.control(calls.conversations()).conversations
    bench.settle()
    return conversation


def write(page: Page, text: str, *, who: str = "chat") -> None:
    page.locator(f"#{who}-text").fill(text)
    page.locator(f"#{who}-text").press("Enter")


def hand_over(bench: Bench, conversation: ConversationView) -> None:
    properties = [
        {"key": "last_order", "value": "A-1001"},
        {"key": "summary", "value": "<b>wants a lamp</b>"},
    ]
    body = {"assignment": {"type": "queue", "id": "101"}, "user": {"additionalProperties": properties}}
    assert bench.http.patch(path(conversation), json=body).status_code == 202


def eventually(look: Callable[[], Any], within: float = 10.0) -> Any:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
    return found


def activities(bench: Bench, name: str) -> list[Any]:
    return [each["data"]["value"] for each in bench.sink.events("ACTIVITY") if each["data"]["name"] == name]


def quick_replies(*titles: str) -> list[dict[str, Any]]:
    options = [{"title": title, "data": {"postback": f"{title.lower()}!"}} for title in titles]
    return [{"contentType": QUICK, "content": {"options": options}}]


def card(*actions: dict[str, Any], body: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """A card with these actions below a question."""
    content = {**CARD, "actions": list(actions), **({} if body is None else {"body": body})}
    return [{"contentType": ADAPTIVE, "content": content}]
