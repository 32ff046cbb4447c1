"""Which version of Adaptive Cards brought which element and property.

From the published schema explorer of Adaptive Cards (adaptivecards.io); what is not listed is as old as 1.0,
or unknown there and left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from app.errors import BotError

CardVersion = Literal["1.2", "1.3", "1.4", "1.5", "1.6"]
"""What an endpoint can be set to; Parley's own cards need 1.2."""

_ELEMENTS = {
    "Media": "1.1",
    "RichTextBlock": "1.2",
    "TextRun": "1.2",
    "ActionSet": "1.2",
    "Action.ToggleVisibility": "1.2",
    "Action.Execute": "1.4",
    "Table": "1.5",
    "TableRow": "1.5",
    "TableCell": "1.5",
    "Data.Query": "1.6",
}

#: Of any element.
_ANYWHERE = {
    "isVisible": "1.2",
    "requires": "1.2",
    "fallback": "1.2",
    "bleed": "1.2",
    "minHeight": "1.2",
    "fontType": "1.2",
    "rtl": "1.5",
    "tooltip": "1.5",
    "labelPosition": "1.6",
    "labelWidth": "1.6",
    "inputStyle": "1.6",
}

#: Of some elements, told by the beginning of their type.
_OF = {
    ("AdaptiveCard", "refresh"): "1.4",
    ("AdaptiveCard", "authentication"): "1.4",
    ("AdaptiveCard", "metadata"): "1.6",
    ("TextBlock", "style"): "1.5",
    ("TextRun", "underline"): "1.3",
    ("Media", "captionSources"): "1.6",
    ("Input.", "label"): "1.3",
    ("Input.", "isRequired"): "1.3",
    ("Input.", "errorMessage"): "1.3",
    ("Input.Text", "regex"): "1.3",
    ("Input.Text", "inlineAction"): "1.2",
    ("Input.Toggle", "wrap"): "1.2",
    ("Input.ChoiceSet", "wrap"): "1.2",
    ("Input.ChoiceSet", "choices.data"): "1.6",
    ("Action.Submit", "associatedInputs"): "1.3",
    ("Action.", "isEnabled"): "1.5",
    ("Action.", "mode"): "1.5",
    ("Action.", "style"): "1.2",
    ("Action.", "iconUrl"): "1.1",
}

#: Of some elements, a value of a property.
_VALUES = {
    ("Input.Text", "style", "password"): "1.5",
    ("Input.ChoiceSet", "style", "filtered"): "1.5",
}

#: What a bot put here is its own, not the card's.
_OPAQUE = frozenset({"data", "metadata", "requires"})


def check_card(card: Mapping[str, Any], version: str) -> None:
    """Raise BotError, naming the element or property, where the card needs a newer version than this."""
    _check_version(card, "The card's version", version)
    _check(card, "card", version)


def _check_version(card: Mapping[str, Any], what: str, version: str) -> None:
    said = str(card.get("version"))
    if _number(said) > _number(version):
        raise BotError(f"{what} is {shown(said)}; the endpoint's adaptive_card_version is {version}.")


def _check(value: object, place: str, version: str) -> None:
    if isinstance(value, list):
        for number, item in enumerate(value):
            _check(item, f"{place}[{number}]", version)
    if not isinstance(value, Mapping):
        return
    kind = str(value.get("type") or "")
    if _is_newer(_ELEMENTS.get(kind), version):
        if "fallback" not in value:
            raise _refusal(f"{kind} at {place}", _ELEMENTS[kind], version)
        if isinstance(value["fallback"], Mapping):
            _check(value["fallback"], f"{place}.fallback", version)
        return  # a client that doesn't know the element shows its fallback instead
    if kind == "AdaptiveCard" and place != "card" and "version" in value:  # within Action.ShowCard
        _check_version(value, f"{place}.version", version)
    for name, inner in value.items():
        needed = _needed(kind, name, inner)
        if needed is not None and _is_newer(needed, version):
            raise _refusal(f"The property {shown(name)} of {shown(kind)} at {place}", needed, version)
        if name not in _OPAQUE:
            _check(inner, f"{place}.{shown(name)}", version)


def _needed(kind: str, name: str, value: object) -> str | None:
    if not kind:
        return None
    if name in _ANYWHERE:
        return _ANYWHERE[name]
    family = kind[: kind.find(".") + 1]
    if isinstance(value, str) and (kind, name, value) in _VALUES:
        return _VALUES[kind, name, value]
    return _OF.get((kind, name)) or (_OF.get((family, name)) if family else None)


def _is_newer(needed: str | None, version: str) -> bool:
    return needed is not None and _number(needed) > _number(version)


def _refusal(what: str, needed: str, version: str) -> BotError:
    return BotError(
        f"{what} needs Adaptive Cards {needed}; the endpoint's adaptive_card_version is {version}."
    )


def _number(version: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError:
        raise BotError('A card\'s "version" is a number such as "1.3".') from None


def shown(name: str) -> str:
    """A name as part of an error's message; never a longer text."""
    return name if len(name) <= 40 and name.replace(".", "").replace("$", "").isalnum() else "…"
