"""Whether a card is put together as Adaptive Cards are: clients show nothing for what they don't know.

From the published schema explorer (adaptivecards.io). Properties that are not named here are left to the
client; so is an element of a type that is unknown here, where it says what to show instead (`fallback`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.conversation.card_versions import shown
from app.errors import BotError


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an element or action must have as a text, and its lists.

    `elements`: lists of elements, with the type that an element there may leave out.
    """

    texts: tuple[str, ...] = ()
    elements: Mapping[str, str | None] = field(default_factory=dict)
    lists: tuple[str, ...] = ()


_INPUT = _Shape(("id",))

_ELEMENTS = {
    "AdaptiveCard": _Shape(elements={"body": None}),
    "TextBlock": _Shape(("text",)),
    "TextRun": _Shape(("text",)),
    "RichTextBlock": _Shape(elements={"inlines": "TextRun"}),
    "Image": _Shape(("url",)),
    "ImageSet": _Shape(elements={"images": "Image"}),
    "Media": _Shape(lists=("sources", "captionSources")),
    "FactSet": _Shape(lists=("facts",)),
    "Container": _Shape(elements={"items": None}),
    "Column": _Shape(elements={"items": None}),
    "ColumnSet": _Shape(elements={"columns": "Column"}),
    "ActionSet": _Shape(),
    "Table": _Shape(elements={"rows": "TableRow"}, lists=("columns",)),
    "TableRow": _Shape(elements={"cells": "TableCell"}),
    "TableCell": _Shape(elements={"items": None}),
    "Input.Text": _INPUT,
    "Input.Number": _INPUT,
    "Input.Date": _INPUT,
    "Input.Time": _INPUT,
    "Input.Toggle": _INPUT,
    "Input.ChoiceSet": _Shape(("id",), lists=("choices",)),
}

_ACTIONS = {
    "Action.OpenUrl": _Shape(("url",)),
    "Action.Submit": _Shape(),
    "Action.Execute": _Shape(),
    "Action.ShowCard": _Shape(),
    "Action.ToggleVisibility": _Shape(lists=("targetElements",)),
}

#: Schemes of addresses that are programs.
_PROGRAMS = frozenset({"javascript", "vbscript", "data"})


def check_structure(card: Mapping[str, Any]) -> None:
    """Raise BotError, with what is wrong and where, unless clients can show all of the card."""
    _one(card, "card", "AdaptiveCard", _ELEMENTS, "element")


def _one(value: object, place: str, usual: str | None, known: Mapping[str, _Shape], what: str) -> None:
    """Check an element or an action."""
    if not isinstance(value, Mapping):
        raise BotError(f"{place} must be an object.")
    kind = value.get("type", usual)
    shape = known.get(kind) if isinstance(kind, str) else None
    if "fallback" in value and value["fallback"] != "drop":
        _one(value["fallback"], f"{place}.fallback", None, known, what)
    if shape is None:
        if "fallback" in value:
            return
        raise BotError(
            f"{shown(str(kind))} at {place} is no {what} of Adaptive Cards: correct its type, "
            "or give it a fallback."
        )
    for name in shape.texts:
        if not isinstance(value.get(name), str) or (name != "text" and not value[name]):
            raise BotError(f'{kind} at {place} needs a text as its "{name}".')
    for name in shape.lists:
        _list(value, name, place)
    for name, usual_there in shape.elements.items():
        for number, inner in enumerate(_list(value, name, place)):
            if name != "inlines" or not isinstance(inner, str):
                _one(inner, f"{place}.{name}[{number}]", usual_there, _ELEMENTS, "element")
    _actions(value, place)


def _actions(value: Mapping[str, Any], place: str) -> None:
    """Check the actions of an element, and the card or address of an action."""
    for number, inner in enumerate(_list(value, "actions", place)):
        _one(inner, f"{place}.actions[{number}]", None, _ACTIONS, "action")
    for name in ("selectAction", "inlineAction"):
        if value.get(name) is not None:
            _one(value[name], f"{place}.{name}", None, _ACTIONS, "action")
    match value.get("type"):
        case "Action.ShowCard":
            _one(value.get("card"), f"{place}.card", "AdaptiveCard", _ELEMENTS, "element")
        case "Action.OpenUrl" if value["url"].partition(":")[0].strip().lower() in _PROGRAMS:
            raise BotError(f"{place}.url must be an address, not a program.")


def _list(value: Mapping[str, Any], name: str, place: str) -> list[Any]:
    found = value.get(name)
    if found is not None and not isinstance(found, list):
        raise BotError(f"{place}.{name} must be a list.")
    return found or []
