"""An author's own card on channels without cards: its buttons are choices, a number is the click."""

from __future__ import annotations

from typing import Any

import pytest

from app.conversation.chosen import as_choice
from app.conversation.content import output
from app.gateway.meaning import UserInput, interpret
from app.gateway.rendering import choices, deliverables
from app.testing import Reply
from tests.unit.driving import entry, user

LARGE = {"title": "Large", "value": "l"}
SIZES = {"type": "Input.ChoiceSet", "id": "size", "choices": [{"title": "Small", "value": "s"}, LARGE]}
NOTE = {"type": "Input.Text", "id": "note", "label": "A note"}
ORDER = {"type": "Action.Submit", "title": "Order", "data": {"order": 7}}


def card(*body: Any, actions: Any = (ORDER,), **more: Any) -> dict[str, Any]:
    said = {"type": "AdaptiveCard", "version": "1.5", "body": list(body), "actions": list(actions), **more}
    return output(None, None, said, None, "1.6")


def text(content: dict[str, Any]) -> list[str]:
    [part] = deliverables(content, "SMS")
    return str(part["text"]).splitlines()


def answered(number: str, content: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {
        "kind": "text",
        "text": number,
        "payload": None,
        "data": None,
        "attachments": [],
        "cards": [],
    }
    return as_choice(written, [user("hi"), entry("output", content)], "SMS")


def clicked(data: Any, kind: str = "Action.Submit") -> dict[str, Any]:
    """What the bot gets where cards are shown."""
    value: dict[str, Any] = {"type": kind, "data": data}
    meaning = interpret({"eventType": "ACTIVITY", "data": {"name": "adaptiveCard/action", "value": value}})
    assert isinstance(meaning, UserInput)
    return meaning.message


def test_a_number_is_the_click_on_that_button() -> None:
    cancel = {"type": "Action.Execute", "title": "Cancel", "verb": "cancel", "data": {"order": 8}}
    said = card({"type": "TextBlock", "text": "Order 7"}, actions=[ORDER, cancel])
    assert text(said) == ["Order 7", "1. Order", "2. Cancel"]
    assert answered("1", said) == clicked({"order": 7})
    assert answered("#2", said) == clicked({"order": 8}, "Action.Execute")
    assert answered("3", said)["kind"] == "text"


def test_buttons_stand_where_the_card_has_them() -> None:
    def row(name: str) -> dict[str, Any]:
        take = {"type": "Action.Submit", "title": "Take it", "data": {"take": name}}
        return {
            "type": "Container",
            "items": [{"type": "TextBlock", "text": name}, {"type": "ActionSet", "actions": [take]}],
        }

    said = card(row("Margherita"), row("Funghi"), actions=[])
    assert text(said) == ["Margherita", "1. Take it", "Funghi", "2. Take it"]
    assert answered("2", said) == clicked({"take": "Funghi"})


def test_one_list_to_choose_from_with_one_button_offers_what_the_list_has() -> None:
    said = card({**SIZES, "label": "Which size?"})
    assert text(said) == ["Which size?", "1. Small", "2. Large"]
    assert answered("2", said) == clicked({"order": 7, "size": "l"})


@pytest.mark.parametrize(
    ("body", "actions"),
    [
        ([{**SIZES, "isMultiSelect": True}], [ORDER]),
        ([SIZES, NOTE], [ORDER]),
        ([SIZES], [ORDER, {**ORDER, "title": "Cancel"}]),
        ([SIZES], [{**ORDER, "associatedInputs": "none"}]),
    ],
)
def test_another_list_is_told_and_the_buttons_are_the_choices(body: list[Any], actions: list[Any]) -> None:
    said = card(*body, actions=actions)
    assert "Small, Large" in text(said)[0]
    assert [each["title"] for each in choices(said)] == [each["title"] for each in actions]


def test_inputs_go_along_as_they_stand() -> None:
    toggle = {"type": "Input.Toggle", "id": "gift", "title": "A gift", "valueOff": "no"}
    said = card(NOTE, {"type": "Input.Number", "id": "count", "value": 2}, toggle)
    assert answered("1", said) == clicked({"order": 7, "note": "", "count": 2, "gift": "no"})


def test_a_button_whose_click_would_be_refused_is_no_choice() -> None:
    required = {**NOTE, "isRequired": True}
    none = {"type": "Action.Submit", "title": "Not now", "associatedInputs": "none", "data": "later"}
    off = {**none, "title": "Never", "isEnabled": False}
    said = card(required, actions=[ORDER, none, off])
    assert text(said) == ["A note", "1. Not now"]
    assert answered("1", said) == clicked("later")


def test_a_card_behind_a_button_is_told_with_its_own_inputs() -> None:
    inner = {"type": "AdaptiveCard", "body": [NOTE], "actions": [{**ORDER, "title": "Send"}]}
    said = card(actions=[{"type": "Action.ShowCard", "title": "Say more", "card": inner}, ORDER])
    assert text(said) == ["Say more", "A note", "1. Send", "2. Order"]
    assert answered("1", said) == clicked({"order": 7, "note": ""})
    assert answered("2", said) == clicked({"order": 7})


def test_what_is_hidden_or_has_no_name_is_no_choice() -> None:
    hidden = {"type": "ActionSet", "isVisible": False, "actions": [ORDER]}
    nameless = {"type": "Action.Submit", "iconUrl": "https://x.example/i.png"}
    assert choices(card(hidden, actions=[nameless])) == []


def test_fallback_text_says_it_all() -> None:
    said = card(SIZES, fallbackText="Write S or L.")
    assert text(said) == ["Write S or L."]
    assert choices(said) == []


def test_quick_replies_are_numbered_on() -> None:
    said = {**card(), "quick_replies": [{"title": "Neither", "payload": "n"}]}
    assert text(said) == ["1. Order", "", "2. Neither"]
    assert answered("2", said)["payload"] == "n"


def test_in_a_unit_test_a_card_is_submitted_and_not_clicked() -> None:
    assert Reply.from_json(card()).quick_replies == ()


@pytest.mark.parametrize("odd", [{"choices": 1}, {"choices": [1, {}, {"title": 3}]}, {"id": None}, {"id": 4}])
def test_no_card_of_a_journal_is_too_strange(odd: dict[str, Any]) -> None:
    actions = [{**ORDER, "data": [1]}, {"type": "Action.ShowCard", "card": 1}]
    said = {**card(), "card": {"type": "AdaptiveCard", "body": [{**SIZES, **odd}], "actions": actions}}
    for number in ("1", "2"):
        answered(number, said)
    assert text(said)
