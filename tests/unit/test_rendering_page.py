"""What docs/bots.md says of each type on each channel is what really becomes of it, word by word."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from app.bot import ListMessage
from app.conversation.content import output
from app.gateway.rendering.channels import LIMIT, LIMITS
from tests.unit.test_rendering import PAGE, SAID, TILES, rendered

OTHER = "Carrier pigeon"
GROUPS = {
    "WebChat": ("WebChat",),
    "WhatsApp": ("WhatsApp",),
    "SMS, Facebook, Viber, RCS, ChatAPI, Email, others": (
        "SMS",
        "Facebook",
        "Viber",
        "RCS",
        "ChatAPI",
        "Email",
        OTHER,
    ),
}

Json = dict[str, Any]
Claim = Callable[[Json, list[Json]], bool]


def text(bodies: list[Json]) -> str:
    return "\n".join(body["text"] for body in bodies)


def has(pattern: str) -> Claim:
    return lambda said, bodies: re.search(pattern, text(bodies), re.M) is not None


def lacks(pattern: str) -> Claim:
    return lambda said, bodies: re.search(pattern, text(bodies), re.M) is None


def cards(bodies: list[Json], kind: str) -> list[Json]:
    found = [card for body in bodies for card in body.get("cards", [])]
    return [card["content"] for card in found if kind in card["contentType"]]


def drawn(*elements: str) -> Claim:
    """One Adaptive Card, in which there are these elements or actions."""

    def claim(said: Json, bodies: list[Json]) -> bool:
        found = cards(bodies, "card.adaptive")
        return len(found) == 1 and all(f"'type': '{each}'" in str(found) for each in elements)

    return claim


def of_which_each(rows: str, most: int) -> Claim:
    return lambda said, bodies: all(
        row["type"] == rows and len(row.get("columns", [])) <= most
        for row in cards(bodies, "card.adaptive")[0]["body"]
    )


def unchanged(said: Json, bodies: list[Json]) -> bool:
    return [body["text"] for body in bodies] == [(said["raw"] or said)["text"]] and not bodies[0].get("cards")


#: Every phrase of the table, the longer ones first, and whether it is true of what is sent.
CLAIMS: dict[str, Claim] = {
    "its `fallbackText`, else its texts, facts and links": has(
        r"Order 1001\nShips: Friday[\s\S]*Track: http"
    ),
    "a card of type `Template`, passed through": lambda said, bodies: (
        cards(bodies, "Template") == [{"name": "shipped"}]
    ),
    "what is typed into it can't be": has(r"A note$"),
    "name, address, link to a map": has(r"Shop\nBahnhofstrasse 1\nhttps://"),
    "what the list offers, numbered": has(r"1\. Small\n2\. Large"),
    "up to three tiles in a row": of_which_each("ColumnSet", 3),
    "items below each other": of_which_each("Container", 0),
    "card with a link to a map": drawn("Action.OpenUrl"),
    "card with the picture": drawn("Image"),
    "card that plays it": drawn("Media"),
    "card with buttons": drawn("Action.Submit", "Action.OpenUrl"),
    "card with a link": drawn("Action.OpenUrl"),
    "and a link": drawn("Action.OpenUrl"),
    "the card": lambda said, bodies: cards(bodies, "card.adaptive") == [said["card"]],
    "card": drawn(),
    "in the bot's name": lambda said, bodies: {body["authorType"] for body in bodies} == {"bot"},
    "WhatsApp's marks": has(r"\*Bold\*, _italic_ and `code`"),
    "without marks": lacks(r"[*_`#\[]"),
    "its buttons numbered": has(r"^1\. "),
    "buttons numbered": has(r"^1\. "),
    "numbered lines": has(r"^1\. .*"),
    "blocks of lines": has(r"\n\n"),
    "no pictures": lacks(r"\.png"),
    "quick replies": lambda said, bodies: len(cards(bodies, "quick.replies")) == 1,
    "`title: address`": has(r"^[^\n:]+: https://"),
    "`title: number`": has(r"^Call us: \+41"),
    "`name: link`": has(r"^menu\.pdf: https://"),
    "as a list": lambda said, bodies: bodies == rendered(output(ListMessage(TILES), None, None, None), OTHER),
    "as on WhatsApp": lambda said, bodies: bodies == rendered(said, "WhatsApp"),
    "the files": lambda said, bodies: [file["name"] for file in bodies[-1]["attachments"]] == ["menu.pdf"],
    "its text": unchanged,
    "as it is": unchanged,
}


def cells() -> list[tuple[str, str, str]]:
    """What is said, the channel, and what the table says of it there."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| said | WebChat |"))
    assert [each.strip() for each in lines[first].split("|")[2:-1]] == list(GROUPS)
    found = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        said, *columns = (each.strip() for each in line.split("|")[1:-1])
        for column, channels in zip(columns, GROUPS.values(), strict=True):
            found += [(said, channel, of_channel(column, channel)) for channel in channels]
    return found


def of_channel(cell: str, channel: str) -> str:
    """The part of a cell that is about this channel: `SMS and others: …; Facebook, Viber: …`."""
    for part in cell.split("; "):
        names, colon, what = part.partition(": ")
        own = re.split(r", | and ", names)
        if colon and (channel in own or (channel == OTHER and "others" in own)):
            return what
    return cell


@pytest.mark.parametrize(("name", "channel", "cell"), [each for each in cells() if each[0] != "long text"])
def test_what_the_table_says_is_what_is_sent(name: str, channel: str, cell: str) -> None:
    bodies = rendered(SAID[name], channel)
    rest = cell
    for phrase, claim in CLAIMS.items():
        if phrase in rest:
            rest = rest.replace(phrase, "")
            assert claim(SAID[name], bodies), f"{phrase}: {bodies}"
    assert rest.strip(" ,;") == "", f"nobody knows what {rest!r} means"


def test_the_table_has_every_type_once_and_every_limit() -> None:
    table = cells()
    assert [name for name, channel, _ in table if channel == OTHER] == list(SAID)
    limits = {channel: cell for name, channel, cell in table if name == "long text"}
    for channel, most in {**LIMITS, OTHER: LIMIT}.items():
        named = re.search(rf"{'others' if channel == OTHER else channel} ([\d,]+)", limits[channel])
        shown = named[1] if named else re.findall(r"[\d,]*\d", limits[channel])[0]
        assert int(shown.replace(",", "")) == most, channel
