"""An author's Adaptive Card as lines of text, for channels that show none.

What a click could submit is a *choice*, at its place among the lines: {"title", "payload", "submit": {"type",
"data"}}, with the data that the click would send. The inputs count as they stand when the card is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DEEPEST = 20
_NESTED = ("body", "items", "columns", "rows", "cells", "images", "inlines", "actions", "selectAction")
_SUBMITS = ("Action.Submit", "Action.Execute")

Element = Mapping[str, Any]
Choice = dict[str, Any]


def card_lines(card: Element) -> list[str]:
    """Its `fallbackText` where it has one; else its texts, facts and links in order."""
    return [part for part in card_parts(card) if isinstance(part, str)]


def card_parts(card: Element) -> list[str | Choice]:
    """Its lines, with its choices among them; its `fallbackText` alone where it has one.

    A card whose only input is a list to choose one from, with one button, offers the list's choices. Else
    each button is a choice, unless an input that must be filled in has no value.
    """
    told = card.get("fallbackText")
    if isinstance(told, str) and told.strip():
        return [told]
    inputs = _inputs(card, 0)
    return _parts(card, 0, inputs, _single(card, inputs))


def _single(card: Element, inputs: Sequence[Element]) -> Element | None:
    """The one button of a card that asks to choose one from a list, and nothing else."""
    one = len(inputs) == 1 and inputs[0].get("type") == "Input.ChoiceSet"
    if not one or inputs[0].get("isMultiSelect") is True or not _options(inputs[0]):
        return None
    buttons = [each for each in _elements(card, 0) if each.get("type") in _SUBMITS]
    return buttons[0] if len(buttons) == 1 and _takes_inputs(buttons[0]) else None


def _parts(
    element: Element, depth: int, inputs: Sequence[Element], single: Element | None
) -> list[str | Choice]:
    if depth > DEEPEST or element.get("isVisible") is False:
        return []
    kind = str(element.get("type") or "")
    if kind == "RichTextBlock":
        inlines = element.get("inlines")
        texts = inlines if isinstance(inlines, list) else []
        text = "".join(part if isinstance(part, str) else _text(part, "text") for part in texts)
        return [text] if text.strip() else []
    found = _own(kind, element, single is not None)
    if kind == "Input.ChoiceSet" and single is not None:
        found += [_submit(single, title, {element.get("id"): value}) for title, value in _options(element)]
    elif kind in _SUBMITS and single is None:
        found += _button(element, inputs)
    elif kind == "Action.ShowCard" and isinstance(element.get("card"), Mapping):
        inner = element["card"]
        found += _parts(inner, depth + 1, [*inputs, *_inputs(inner, depth + 1)], None)
    for each in _inner(element):
        found += _parts(each, depth + 1, inputs, single)
    return found


def _own(kind: str, element: Element, chosen: bool) -> list[str | Choice]:
    if kind == "TextBlock":
        return _line(_text(element, "text"))
    if kind in ("Image", "Media"):
        return _line(_text(element, "altText"))
    if kind == "FactSet":
        facts = element.get("facts")
        pairs = [fact for fact in facts if isinstance(fact, Mapping)] if isinstance(facts, list) else []
        return [f"{_text(fact, 'title')}: {_text(fact, 'value')}" for fact in pairs]
    if kind.startswith("Input."):
        asked = (_text(element, "label") or _text(element, "placeholder")).strip()
        among = "" if chosen else ", ".join(title for title, _ in _options(element))
        return _line(": ".join(part for part in (asked, among) if part))
    if kind == "Action.OpenUrl":
        title, url = _text(element, "title"), _text(element, "url")
        return _line(f"{title}: {url}" if title and url else url)
    if kind == "Action.ShowCard":
        return _line(_text(element, "title"))
    return []


def _line(text: str) -> list[str | Choice]:
    return [text.strip()] if text.strip() else []


def _button(element: Element, inputs: Sequence[Element]) -> list[str | Choice]:
    """A button as a choice, where it has a name and a click would be accepted."""
    title = _text(element, "title").strip()
    if not title or element.get("isEnabled") is False:
        return []
    values: dict[Any, Any] = {}
    for each in inputs if _takes_inputs(element) else ():
        value = each.get("value")
        if value is None and each.get("type") == "Input.Toggle":
            value = each.get("valueOff", "false")
        if each.get("isRequired") is True and value in (None, ""):
            return []
        values[each.get("id")] = "" if value is None else value
    return [_submit(element, title, values)]


def _submit(button: Element, title: str, values: Mapping[Any, Any]) -> Choice:
    """What a click on the button sends: its own data and the inputs' values."""
    kind = str(button["type"])
    data = button.get("data")
    if data is None or isinstance(data, Mapping):
        data = {**(data or {}), **{name: value for name, value in values.items() if isinstance(name, str)}}
    else:
        data = {"value": data}  # as an event's, see gateway/meaning.py
    return {"title": title, "payload": kind, "submit": {"type": kind, "data": data}}


def _takes_inputs(button: Element) -> bool:
    return str(button.get("associatedInputs", "")).lower() != "none"


def _options(element: Element) -> list[tuple[str, str]]:
    """Title and value of what a ChoiceSet lets choose from."""
    choices = element.get("choices")
    return [
        (_text(each, "title"), _text(each, "value"))
        for each in (choices if isinstance(choices, list) else [])
        if _text(each, "title").strip()
    ]


def _inputs(element: Element, depth: int) -> list[Element]:
    """The inputs whose values a button sends along; those of a card inside a button are its own."""
    return [each for each in _elements(element, depth) if str(each.get("type") or "").startswith("Input.")]


def _elements(element: Element, depth: int) -> Iterator[Element]:
    if depth > DEEPEST:
        return
    yield element
    for each in _inner(element):
        yield from _elements(each, depth + 1)


def _inner(element: Element) -> Iterator[Element]:
    for name in _NESTED:
        inner = element.get(name)
        for item in inner if isinstance(inner, list) else [inner]:
            if isinstance(item, Mapping):
                yield item


def _text(element: object, name: str) -> str:
    value = element.get(name) if isinstance(element, Mapping) else None
    return value if isinstance(value, str) else ""
