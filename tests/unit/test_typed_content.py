"""What a bot says besides text: checked when built, kept as JSON, cards no newer than the endpoint knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from app.bot import (
    BotError,
    Buttons,
    Card,
    Chat,
    Gallery,
    Image,
    Link,
    ListMessage,
    Location,
    Markdown,
    Phone,
    Postback,
    Template,
    Tile,
)
from app.conversation.card_versions import check_card
from app.conversation.content import output
from app.testing import converse
from tests.unit.driving import driver, failed

TILE = Tile("A tile")


def anything(value: Any) -> Any:
    """What types forbid, and a bot gives all the same."""
    return value


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Buttons("x", []), "at least one"),
        (lambda: Buttons("x", anything("ab")), "list of Postback"),
        (lambda: Buttons("x", anything(["Yes"])), "not a str"),
        (lambda: Buttons("x", [Postback("a")] * 11), "more than 10"),
        (lambda: Buttons("", [Postback("a")]), "is empty"),
        (lambda: Postback("a", "\0"), "NUL"),
        (lambda: Link("a", "javascript:alert(1)"), "https://"),
        (lambda: Link("a", "https://a b"), "no space"),
        (lambda: Link("a", "https://x/" + "y" * 2000), "longer than 2,000"),
        (lambda: Link("a", "http://[x"), "no address"),
        (lambda: Phone("a", "call me"), "digits"),
        (lambda: ListMessage([]), "at least one Tile"),
        (lambda: Gallery([TILE] * 21), "more than 20"),
        (lambda: Gallery(anything(["x"])), "made of Tiles"),
        (lambda: Image("x.png", "x"), "https://"),
        (lambda: Image("https://x/y.png", " "), "is empty"),
        (lambda: Location(91, 0), "-90 to 90"),
        (lambda: Location(0, float("nan")), "-180 to 180"),
        (lambda: Location(True, 0), "-90 to 90"),
        (lambda: Template("x", {}), "at least one key"),
        (lambda: Markdown(" "), "is empty"),
    ],
)
def test_a_mistake_is_told_when_it_is_made(make: Callable[[], Any], part: str) -> None:
    with pytest.raises(BotError, match=part):
        make()


def test_content_is_frozen_and_keeps_no_hold_of_what_it_was_made_of() -> None:
    given = [Postback("a")]
    buttons = Buttons("x", given)
    given.clear()
    assert len(buttons.buttons) == 1
    with pytest.raises(FrozenInstanceError):
        buttons.text = "y"  # type: ignore[misc]


def test_typed_content_is_journaled_as_json_beside_the_keys_of_old() -> None:
    said = output(Buttons("x", [Postback("a", "b")]), ["c"], None, None)
    assert json.loads(json.dumps(said)) == {
        "type": "buttons",
        "text": "x",
        "buttons": [{"type": "postback", "title": "a", "payload": "b"}],
        "quick_replies": [{"title": "c", "payload": "c"}],
        "card": None,
        "raw": None,
    }


def test_a_card_may_be_said_as_content_or_beside_a_text() -> None:
    card = Card({"type": "AdaptiveCard", "version": "1.3"})
    assert output(card, None, None, None) == output(None, None, card, None)
    with pytest.raises(BotError, match="two cards"):
        output(card, None, card, None)
    with pytest.raises(BotError, match="takes no card"):
        output(Markdown("x"), None, card, None)


def card(*body: dict[str, Any], version: str = "1.3", **more: Any) -> dict[str, Any]:
    return {"type": "AdaptiveCard", "version": version, "body": list(body), **more}


@pytest.mark.parametrize(
    ("needs_more", "told"),
    [
        (card({"type": "Table", "rows": []}), r"Table at card\.body\[0\] needs Adaptive Cards 1\.5.*is 1\.3"),
        (card(actions=[{"type": "Action.Execute"}]), r"Action\.Execute at card\.actions\[0\] needs.*1\.4"),
        (card({"type": "TextBlock", "style": "heading"}), "property style of TextBlock.*1.5"),
        (card({"type": "Input.Text", "style": "password"}), "property style of Input.Text.*1.5"),
        (card({"type": "Container", "items": [{"type": "Table"}]}), r"card\.body\[0\]\.items\[0\]"),
        (card({"type": "Input.Date", "labelPosition": "inline"}), "labelPosition of Input.Date.*1.6"),
        (card(actions=[{"type": "Action.Submit", "isEnabled": False}]), "isEnabled of Action.Submit.*1.5"),
        (card(refresh={}), "refresh of AdaptiveCard.*1.4"),
        (card(version="1.5"), "version is 1.5"),
        (card(version="soon"), "number such as"),
        (card({"type": "Table", "fallback": {"type": "Media", "captionSources": []}}), "captionSources"),
    ],
)
def test_a_card_that_needs_more_is_refused_with_what_and_where(needs_more: Any, told: str) -> None:
    with pytest.raises(BotError, match=told):
        check_card(needs_more, "1.3")


@pytest.mark.parametrize(
    "fits",
    [
        card({"type": "Input.Text", "style": "tel", "label": "x", "isRequired": True}),
        card(actions=[{"type": "Action.Submit", "data": {"type": "Table", "refresh": 1}}]),
        card({"type": "Table", "fallback": {"type": "TextBlock", "text": "x"}}),
        card({"type": "Table", "fallback": "drop"}),
        card({"type": "Unheard.Of", "anything": 1}),
    ],
)
def test_a_card_that_needs_no_more_is_taken(fits: dict[str, Any]) -> None:
    check_card(fits, "1.3")


SHOWS_NEWER = {"type": "Action.ShowCard", "card": {"type": "AdaptiveCard", "version": "1.6", "body": []}}
INSTEAD = {"type": "TextBlock", "text": "x", "fallback": {"type": "Table"}}


@pytest.mark.parametrize(
    ("needs_more", "told"),
    [
        (card(actions=[SHOWS_NEWER]), r"card\.actions\[0\]\.card\.version is 1\.6"),
        (card(INSTEAD), r"Table at card\.body\[0\]\.fallback needs"),
    ],
)
def test_what_is_shown_later_or_instead_needs_no_more_either(needs_more: Any, told: str) -> None:
    with pytest.raises(BotError, match=told):
        check_card(needs_more, "1.3")


def opens(url: object) -> dict[str, Any]:
    return card(actions=[{"type": "Action.OpenUrl", "title": "x", "url": url}])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (card({"type": "TextBlok", "text": "x"}), r"TextBlok at card\.body\[0\] is no element"),
        (card({"text": "x"}), r"card\.body\[0\] is no element"),
        (card({"type": "Carousel", "pages": []}), "Carousel at"),
        (card({"type": "TextBlock"}), r'TextBlock at card\.body\[0\] needs a text as its "text"'),
        (card({"type": "Image", "url": ""}), 'its "url"'),
        (card({"type": "Input.Text"}), 'its "id"'),
        (card() | {"body": "hello"}, r"card\.body must be a list"),
        (card() | {"body": ["hello"]}, r"card\.body\[0\] must be an object"),
        (card({"type": "Container", "items": {}}), r"card\.body\[0\]\.items must be a list"),
        (card({"type": "FactSet", "facts": "x"}), "facts must be a list"),
        (
            card(actions=[{"type": "Action.Submt", "title": "x"}]),
            r"Action\.Submt at card\.actions\[0\] is no action",
        ),
        (card({"type": "Action.Submit", "title": "x"}), "Action.Submit at .* is no element"),
        (card({"type": "ColumnSet", "columns": [{"items": [{"type": "Txt"}]}]}), r"columns\[0\]\.items\[0\]"),
        (
            card({"type": "Container", "items": [], "selectAction": {"type": "Go"}}),
            r"selectAction is no action",
        ),
        (
            card(actions=[{"type": "Action.ShowCard", "card": {"body": [{"type": "Txt"}]}}]),
            r"card\.body\[0\]",
        ),
        (opens(None), 'its "url"'),
        (opens("javascript:alert(1)"), "must be an address"),
        (opens(" JavaScript:alert(1)"), "must be an address"),
        (card({"type": "Mine", "fallback": {"type": "TextBlok"}}), r"body\[0\]\.fallback is no element"),
    ],
)
def test_a_card_that_clients_would_not_show_is_refused_with_what_and_where(wrong: Any, told: str) -> None:
    with pytest.raises(BotError, match=told):
        output(None, None, wrong, None)


@pytest.mark.parametrize(
    "right",
    [
        card({"type": "Mine", "anything": 1, "fallback": "drop"}),
        card({"type": "Mine", "fallback": {"type": "TextBlock", "text": ""}}),
        card({"type": "RichTextBlock", "inlines": ["a", {"type": "TextRun", "text": "b"}, {"text": "c"}]}),
        card({"type": "ColumnSet", "columns": [{"items": [{"type": "Image", "url": "https://x.example"}]}]}),
        card({"type": "ImageSet", "images": [{"url": "https://x.example"}]}, actions=[]),
        card({"type": "Input.Text", "id": "a", "inlineAction": {"type": "Action.Submit"}}),
        opens("tel:+41441234567"),
        {"type": "AdaptiveCard", "version": "1.3"},
    ],
)
def test_a_card_that_is_well_made_is_taken(right: dict[str, Any]) -> None:
    assert output(None, None, right, None)["card"] == right


def test_a_newer_card_fails_the_bot_at_its_line_unless_the_endpoint_knows_more() -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(card=card({"type": "Table"}, version="1.5"))

    with driver(bot) as driven:
        assert "version is 1.5" in str(failed(driven.run()).error)
    with pytest.raises(BotError):
        converse(bot).says("hi")
    assert converse(bot, card_version="1.5").says("hi")[0].card is not None


def test_typed_content_takes_part_in_a_conversation_that_is_tried_in_a_test() -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(
            ListMessage([Tile("A", buttons=[Postback("Take", "a")])], "Choose"), quick_replies=["No"]
        )
        await chat.say((await chat.receive()).payload or "")

    talk = converse(bot)
    [reply] = talk.says("hi")
    assert (reply.text, reply.quick_replies, reply.payloads) == ("Choose", ("Take", "No"), ("a", "No"))
    assert talk.clicks("Take")[0].text == "a"


def test_only_a_plain_text_goes_to_the_agent_alone() -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(Markdown("*x*"), to="agent")

    with pytest.raises(BotError, match="text alone"):
        converse(bot).says("hi")
