"""A number as answer, on channels that number choices."""

from __future__ import annotations

from typing import Any

import pytest

from app.bot import Buttons, Link, Postback
from app.conversation.chosen import as_choice
from app.conversation.content import output
from app.conversation.journal import Entry
from tests.unit.driving import entry, said, user

OFFER = entry("output", output("Which size?", ["Small", "Large"], None, None))
BUTTONS = entry(
    "output",
    output(Buttons("?", [Link("x", "https://x.example"), Postback("Go", "go")]), None, None, None),
)


def written(text: str, **more: Any) -> dict[str, Any]:
    return {"kind": "text", "text": text, "payload": None, "data": None, "attachments": [], **more}


def taken(text: str, *entries: Entry, channel: str | None = "WhatsApp") -> dict[str, Any]:
    return as_choice(written(text), [user("hi"), *entries], channel)


@pytest.mark.parametrize("text", ["2", "2.", "#2", " 2 ", "2)", "02"])
def test_a_number_is_the_choice_that_was_shown_with_it(text: str) -> None:
    message = taken(text, OFFER)
    assert (message["kind"], message["text"], message["payload"]) == ("quick_reply", "Large", "Large")
    assert message["data"] == {"title": "Large", "payload": "Large", "written": text.strip()}


@pytest.mark.parametrize("text", ["0", "3", "two", "2 please", "-2", "2.5", "", "٢"])
def test_what_is_no_number_of_a_choice_stays_a_text(text: str) -> None:
    assert taken(text, OFFER) == written(text)


def test_a_number_that_is_a_choices_title_is_that_choice() -> None:
    offer = entry("output", output("How many?", ["2", "4", "1"], None, None))
    assert [taken(text, offer)["payload"] for text in ("1", "2", "3")] == ["1", "2", "1"]


def test_links_have_no_number() -> None:
    assert taken("1", BUTTONS)["payload"] == "go"
    assert taken("2", BUTTONS)["kind"] == "text"


def test_only_what_was_said_since_the_last_input_counts_and_of_that_the_last_choices() -> None:
    assert taken("1", OFFER, BUTTONS)["payload"] == "go"
    assert taken("1", OFFER, said("and a word more"))["payload"] == "Small"
    assert taken("1", OFFER, user("what?"), said("How many?"))["kind"] == "text"


@pytest.mark.parametrize("channel", ["WebChat", None])
def test_where_choices_are_not_numbered_a_number_is_a_number(channel: str | None) -> None:
    assert taken("1", OFFER, channel=channel)["kind"] == "text"


def test_a_file_is_no_answer() -> None:
    message = written("1", attachments=[{"id": "a"}])
    assert as_choice(message, [OFFER], "SMS") == message
