"""Journals and drivers for the tests of bots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.bot import Chat
from app.conversation.driver import DialogStart, Driver
from app.conversation.journal import Entry
from app.conversation.needs import Diverged, Failed, Need

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def entry(
    kind: str, content: dict[str, Any] | None = None, *, name: str | None = None, after: float = 0
) -> Entry:
    return Entry(kind, name, content or {}, START + timedelta(seconds=after))


def user(text: str, **more: Any) -> Entry:
    return entry("input", {"message": {"text": text}, **more})


def said(text: str) -> Entry:
    return entry("output", {"text": text, "quick_replies": [], "card": None, "raw": None})


def step(name: str, position: int) -> Entry:
    return entry("step", {"key": f"d:{position}", "group": position}, name=name)


def result(position: int, **content: Any) -> Entry:
    return entry("result", {"step": position, **content})


def driver(bot: Callable[[Chat], Any], entries: Sequence[Entry] = (user("hi"),), **options: Any) -> Driver:
    start = DialogStart("d", 7, START, options.pop("session", {}), options.pop("contact", {}))
    return Driver(bot, start, entries, now=lambda: START, **options)


def run(bot: Callable[[Chat], Any], entries: Sequence[Entry] = (user("hi"),), **options: Any) -> Need:
    with driver(bot, entries, **options) as driven:
        return driven.run()


def texts(driven: Driver) -> list[str]:
    return [each.content["text"] for _, each in driven.drain() if each.kind == "output"]


def failed(need: Need) -> Failed:
    assert isinstance(need, Failed), need
    return need


def diverged(need: Need) -> Diverged:
    assert isinstance(need, Diverged), need
    return need
