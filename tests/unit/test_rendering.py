"""Everything a bot can say, on every channel: compared with what is stored in renderings.json.

After a change that is meant: `PARLEY_REWRITE=1 pytest tests/unit/test_rendering.py`; read the difference.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot import (
    Audio,
    Buttons,
    Card,
    FileLink,
    Gallery,
    Image,
    Link,
    ListMessage,
    Location,
    Markdown,
    Phone,
    Postback,
    QuickReply,
    Template,
    Tile,
    Video,
)
from app.conversation.card_versions import check_card
from app.conversation.content import output
from app.gateway.outgoing import placed, render
from app.gateway.rendering import choices, deliverables
from app.gateway.rendering.channels import LIMITS, limit
from app.gateway.rendering.splitting import split

STORED = Path(__file__).with_name("renderings.json")
CHANNELS = (*LIMITS, "Carrier pigeon")
PAGE = Path(__file__).parents[2] / "docs" / "bots.md"

BUTTONS: list[Postback | Link | Phone] = [
    Postback("Order", "order"),
    Link("Prices", "https://shop.example/prices"),
    Phone("Call us", "+41 44 123 45 67"),
    Postback("Nothing"),
]
TILES = [
    Tile("Margherita", "Tomato, mozzarella", "https://shop.example/1.png", [Postback("Take it", "pizza-1")]),
    Tile("Funghi", buttons=[Postback("Take it", "pizza-2"), Link("More", "https://shop.example/2")]),
]
CARD = {
    "type": "AdaptiveCard",
    "version": "1.3",
    "body": [
        {"type": "TextBlock", "text": "Order 1001", "weight": "Bolder"},
        {"type": "FactSet", "facts": [{"title": "Ships", "value": "Friday"}]},
        {"type": "Input.Text", "id": "note", "label": "A note"},
    ],
    "actions": [
        {"type": "Action.OpenUrl", "title": "Track", "url": "https://shop.example/1001"},
        {"type": "Action.Submit", "title": "Send", "data": {"order": 1001}},
    ],
}
FILES = [
    {
        "file": "ab/abcd",
        "name": "menu.pdf",
        "type": "application/pdf",
        "size": 7,
        "url": "https://parley.example/files/abcd?expires=1&signature=x",
    }
]
CHOOSING = {
    "type": "AdaptiveCard",
    "version": "1.3",
    "body": [
        {"type": "TextBlock", "text": "Which size?"},
        {
            "type": "Input.ChoiceSet",
            "id": "size",
            "choices": [{"title": "Small", "value": "s"}, {"title": "Large", "value": "l"}],
        },
    ],
    "actions": [{"type": "Action.Submit", "title": "Order", "data": {"order": 1001}}],
}

SAID: dict[str, dict[str, Any]] = {
    "text": output("Hello, *you*.", None, None, None),
    "long text": output("A sentence of some words. " * 80, None, None, None),
    "markdown": output(
        Markdown("# Menu\n**Bold**, *italic* and `code`\n- one\n- [two](https://shop.example/2)"),
        None,
        None,
        None,
    ),
    "quick replies": output("Which size?", ["Small", QuickReply("Large", "l")], None, None),
    "buttons": output(Buttons("What now?", BUTTONS), None, None, None),
    "list": output(ListMessage(TILES, "Our pizzas"), ["None of them"], None, None),
    "gallery": output(Gallery(TILES), None, None, None),
    "image": output(Image("https://shop.example/1.png", "A pizza"), None, None, None),
    "audio": output(Audio("https://shop.example/1.ogg?x=1", "A song", "Listen:"), None, None, None),
    "video": output(
        Video("https://shop.example/1.mp4", "A film", poster="https://shop.example/1.png"), None, None, None
    ),
    "file": output(FileLink("https://shop.example/menu.pdf", "menu.pdf"), None, None, None),
    "location": output(Location(47.3769, 8.5417, "Shop", "Bahnhofstrasse 1"), None, None, None),
    "adaptive card": output("Your order", None, Card(CARD), None),
    "adaptive card with a list to choose from": output(None, ["Neither"], Card(CHOOSING), None),
    "template": output(Template("Your order ships.", {"name": "shipped"}), None, None, None),
    "attachments": {**output("Our menu:", ["Thanks"], None, None), "attachments": FILES},
    "raw": output(None, None, None, {"authorType": "user", "text": "x", "cards": []}),
}


def rendered(content: dict[str, Any], channel: str | None) -> list[dict[str, Any]]:
    return [render(part) for part in deliverables(content, channel)]


def test_every_type_is_rendered_on_every_channel_as_stored() -> None:
    found = {name: {each: rendered(said, each) for each in CHANNELS} for name, said in SAID.items()}
    if os.environ.get("PARLEY_REWRITE"):
        STORED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(STORED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", [name for name in SAID if name != "raw"])
def test_a_text_goes_along_with_everything_and_fits(name: str, channel: str) -> None:
    for body in rendered(SAID[name], channel):
        assert body["authorType"] == "bot"
        assert 0 < len(body["text"]) <= limit(channel)


@pytest.mark.parametrize("channel", [channel for channel in CHANNELS if channel != "WebChat"])
@pytest.mark.parametrize("name", [name for name in SAID if name not in ("raw", "template")])
def test_cards_are_sent_on_webchat_alone(name: str, channel: str) -> None:
    assert all("cards" not in body for body in rendered(SAID[name], channel))


@pytest.mark.parametrize("name", SAID)
def test_what_is_delivered_says_what_arrives(name: str) -> None:
    """Echoes and read-back compare the delivery's own text with what 8x8 shows."""
    for channel in CHANNELS:
        for part in deliverables(SAID[name], channel):
            if part.get("raw") is None or part["text"] is not None:
                assert part["text"] == render(part)["text"]


@pytest.mark.parametrize("name", SAID)
def test_choices_have_the_numbers_that_the_text_shows(name: str) -> None:
    text = "\n".join(body["text"] for body in rendered(SAID[name], "SMS"))
    shown = re.findall(r"^(\d+)\. (.*)$", text, re.M)
    offered = choices(SAID[name])
    assert shown == [(str(number), choice["title"]) for number, choice in enumerate(offered, start=1)]


def test_the_own_cards_need_no_newer_version_than_any_endpoint_has() -> None:
    for said in SAID.values():
        for part in deliverables(said, "WebChat"):
            if part.get("card") and said.get("type"):
                check_card(part["card"], "1.2")


def test_a_text_that_needs_nothing_is_sent_as_it_is() -> None:
    said = SAID["text"]
    assert all(deliverables(said, channel) == [said] for channel in (*CHANNELS, None))


def test_until_a_channel_is_told_choices_are_sent_as_8x8_documents_them() -> None:
    said = SAID["quick replies"]
    assert deliverables(said, None) == [said]


def test_files_go_with_the_last_part_and_need_no_text() -> None:
    long = {**output("One sentence. " * 600, None, None, None), "attachments": FILES}
    *first, last = rendered(long, "WhatsApp")
    assert first and not any("attachments" in body for body in first)
    assert [file["file"] for file in last["attachments"]] == ["ab/abcd"]
    alone = {**output(None, None, None, None, files=True), "attachments": FILES}
    [body] = rendered(alone, "WebChat")
    assert "text" not in body and "url" not in body["attachments"][0]
    assert placed(body, {"ab/abcd": "8x8-1"}) == {"authorType": "bot", "attachments": [{"id": "8x8-1"}]}
    [link] = rendered(alone, "SMS")
    assert link == {"authorType": "bot", "text": f"menu.pdf: {FILES[0]['url']}"}
    template = {**SAID["template"], "attachments": FILES}
    [body] = rendered(template, "WhatsApp")
    assert body["attachments"] and body["cards"]
    body, more = rendered(template, "SMS")
    assert "attachments" not in body and more == link


def test_a_long_text_keeps_its_card_with_its_last_part_and_what_it_is_marked_with() -> None:
    said = {**output("One sentence. " * 600, ["Yes"], None, None), "private": True}
    *first, last = deliverables(said, "WebChat")
    assert first and last["quick_replies"] and not any(part["quick_replies"] for part in first)
    assert all(part["private"] for part in (*first, last))
    assert " ".join(part["text"] for part in (*first, last)).strip() == said["text"].strip()


def test_long_texts_are_split_at_the_ends_of_sentences() -> None:
    text = "First one. Is this the second? Yes! And a last one"
    assert split(text, 32) == ["First one. Is this the second?", "Yes! And a last one"]
    assert split("one two three", 8) == ["one two", "three"]
    assert split("x" * 10, 4) == ["xxxx", "xxxx", "xx"]
    assert split('He said "Go." Then he went.', 16) == ['He said "Go."', "Then he went."]
    assert split("A first paragraph.\n\nA second. A third.", 30)[0] == "A first paragraph."


@given(st.text(alphabet="ab. \n!?"), st.integers(1, 40))
def test_splitting_loses_nothing_but_space_and_keeps_the_order(text: str, most: int) -> None:
    parts = split(text, most)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert len(parts) == 1 or all(0 < len(part) <= most for part in parts)


@given(st.text(alphabet="*_~`#[]()!>\\- ab\n1\ue000"))
def test_no_markdown_is_too_strange(text: str) -> None:
    for channel in CHANNELS:
        deliverables({"type": "markdown", "text": text}, channel)


def test_addresses_in_markdown_stay_as_they_are() -> None:
    for address in (
        "https://x.example/_next_/a",
        "https://x.example/__init__.py",
        "http://x.example/a*b*c~~d~~",
        "https://x.example/A_(b)_c",
    ):
        for text in (f"see {address} and _this_", f"**{address}**", f"- {address}."):
            for channel in ("WebChat", "WhatsApp"):
                [body] = rendered({"type": "markdown", "text": text}, channel)
                assert address in body["text"]
    [body] = rendered({"type": "markdown", "text": "**https://x.example/a** and _so_ on"}, "WhatsApp")
    assert body["text"] == "*https://x.example/a* and _so_ on"


@pytest.mark.parametrize(
    "piece",
    ["[", "[a](", "![", "**a", "__a", "_a", "~~a", "`a", "# ", "> ", "- ", "* ", "\\*", "https://"],
)
def test_no_markdown_that_is_never_closed_takes_long(piece: str) -> None:
    takes_no_time(piece * (10_000 // len(piece)))


@pytest.mark.parametrize(
    "piece", ["**a ", "__a ", "~~a ", "```x\n", "```\n", "# x\n", "- - ", "_a _", "*a *"]
)
def test_no_markdown_takes_long(piece: str) -> None:
    takes_no_time(piece * (10_000 // len(piece)))


@pytest.mark.parametrize("sign", [" ", "#", "\t", "\u00a0", "*", "_", "~", "`", "-", ">", "[", "("])
@pytest.mark.parametrize("start", ["# x", "- ", "> ", "**a", "~~a", "```", "[a](", "https://x"])
def test_no_markdown_with_a_long_middle_takes_long(start: str, sign: str) -> None:
    takes_no_time(start + sign * 9_990 + "y")


def takes_no_time(text: str) -> None:
    taken = []
    for _ in range(3):  # the garbage of all tests before may be collected within one of them
        begun = time.process_time()
        deliverables({"type": "markdown", "text": text}, "WhatsApp")
        taken.append(time.process_time() - begun)
    assert min(taken) < 0.3


def test_a_heading_loses_the_marks_that_close_it_and_no_others() -> None:
    for text, wanted in (("# Title ##", "Title"), ("## C#", "C#"), ("# C# #  ", "C#"), ("# ##", "##")):
        assert rendered({"type": "markdown", "text": text}, "SMS")[0]["text"] == wanted


def test_an_e_mail_is_one() -> None:
    assert len(rendered(output("A sentence. " * 800, None, None, None), "Email")) == 1


def test_a_sign_of_several_characters_is_not_parted() -> None:
    family, flag, accented = "👨‍👩‍👧‍👦", "🇨🇭", "e\u0301"
    for sign in (family, flag, accented):
        parts = split(sign * 100, 50)
        assert "".join(parts) == sign * 100
        assert all(len(part) % len(sign) == 0 and 0 < len(part) <= 50 for part in parts)
    assert split("\u200d" * 10, 4)  # nothing but joiners: they are parted all the same


@pytest.mark.parametrize(
    "title", ["5 * 3 * 2", "[here](https://evil.example)", "1. first", "snake_case_name"]
)
def test_a_tiles_words_are_no_markdown(title: str) -> None:
    [body] = rendered(output(Gallery([Tile(title, "Plain words")]), None, None, None), "WebChat")
    [tile] = body["cards"][0]["content"]["body"][0]["columns"]
    run = {"type": "TextRun", "text": title, "weight": "Bolder"}
    assert tile["items"][0] == {"type": "RichTextBlock", "inlines": [run]}
    assert tile["items"][1]["type"] == "TextBlock"
    check_card(body["cards"][0]["content"], "1.2")
