"""A stored conversation as a scenario: what is told, in which order, and what is masked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.export.masking import Mask, NoMask
from app.export.scenario import as_scenario, as_yaml
from app.export.stored import Item, StoredConversation
from app.sandbox.scenario.reading import read

START = datetime(2026, 3, 3, 9, tzinfo=UTC)
ADA = {
    "name": "Ada Lovelace",
    "email": "ada@lovelace.org",
    "phone": "+44 20 7946 0018",
    "company": "Engines Ltd",
}


def story(*items: dict[str, Any], user: dict[str, Any] | None = None) -> StoredConversation:
    """A conversation whose items follow each other by a second unless told otherwise."""
    moments = [START + timedelta(seconds=number) for number in range(len(items))]
    told = [Item(**{"at": at, **item}) for at, item in zip(moments, items, strict=True)]
    return StoredConversation("orders", "WebChat", ADA if user is None else user, {}, told)


def message(author: str, text: str | None = None, kind: str = "text", **content: Any) -> dict[str, Any]:
    return {"what": "message", "author": author, "text": text, "kind": kind, "content": content}


def member(kind: str, change: str, identifier: str = "agent-x") -> dict[str, Any]:
    return {"what": "MEMBERS_CHANGED", "data": {"memberType": kind, "change": change, "id": identifier}}


def steps(*items: dict[str, Any], mask: Mask | None = None) -> list[Any]:
    found: list[Any] = as_scenario(story(*items), "test", mask or NoMask())["steps"]
    return found


TRANSFER = {"what": "TRANSFER"}
QUEUED = {"what": "QUEUED", "data": {"queueId": "102", "queueName": "Sales"}}
JOINED, LEFT = member("agent", "joined"), member("agent", "left")


def test_what_was_said_clicked_submitted_and_sent_becomes_steps() -> None:
    replies = [{"title": "Yes", "payload": "y"}]
    assert steps(
        message("user", "Hello"),
        message("bot", "More?", quick_replies=replies),
        message("user", "Yes", kind="quick_reply", payload="y"),
        message("bot", None, card={"type": "AdaptiveCard"}),
        message("user", "", kind="card", data={"rating": 5}),
        message("user", "", attachments=[{"name": "lamp.png"}]),
        message("bot", None, raw={"text": "Raw"}),
        message("bot", "For the agent only", to="agent"),
        message("user", None, kind="start"),
        {
            **message("user", "Yes", kind="interactive"),
            "data": {"name": "interactive/reply", "value": {"a": 1}},
        },
    ) == [
        {"user": "Hello"},
        {"bot": {"text": "More?", "quick_replies": ["Yes"]}},
        {"click": {"title": "Yes", "payload": "y"}},
        {"bot": {"card": {"type": "AdaptiveCard"}}},
        {"submit": {"rating": 5}},
        {"file": {"name": "lamp.png", "content": "(what the file held is not stored)"}},
        {"bot": "Raw"},
        {"activity": {"name": "interactive/reply", "value": {"a": 1}}},
    ]


def test_a_handover_with_its_agents_becomes_steps() -> None:
    properties = [{"key": "order", "value": "A-1001"}]
    content = {"assignment": {"type": "queue", "id": "101"}, "user": {"additionalProperties": properties}}
    assert steps(
        {"what": "assignment", "content": content},
        JOINED,
        message("agent", "Hello"),
        LEFT,
        member("user", "left", "user-1"),
    ) == [
        {"handover": {"queue": "101", "properties": {"order": "A-1001"}}},
        {"agent_joins": "agent-1"},
        {"agent": "Hello"},
        {"agent_leaves": True},
        {"user_leaves": True},
    ]


@pytest.mark.parametrize(
    ("events", "order"),
    [((LEFT, TRANSFER, QUEUED), "left_first"), ((TRANSFER, LEFT, QUEUED), "transfer_first")],
)
def test_an_agent_who_leaves_around_a_transfer_does_not_end_the_chat(events: Any, order: str) -> None:
    other = member("agent", "joined", "agent-y")
    assert steps(JOINED, *events, other, member("agent", "left", "agent-y")) == [
        {"agent_joins": "agent-1"},
        {"agent_transfers": {"queue": "102", "order": order}},
        {"agent_joins": "agent-2"},
        {"agent_leaves": True},
    ]


def test_the_same_thing_gets_the_same_placeholder_everywhere() -> None:
    scenario = as_scenario(
        story(
            message("user", "I am ada lovelace of Engines Ltd, ada@lovelace.org, call 442079460018"),
            message("bot", "Hello Ada! Is it +44 20 7946 0018 for order A-1001 of 2026-03-03?"),
            message("user", "My card is 4111 1111 1111 1111", kind="quick_reply", payload={"id": 12345678}),
        ),
        "test",
        Mask(ADA),
    )
    assert scenario["user"] == {
        "name": "Alex Example",
        "email": "person1@example.com",
        "phone": "+50 00 0000 0001",
        "company": "Example Company",
    }
    assert scenario["steps"] == [
        {"user": "I am Alex Example of Example Company, person1@example.com, call 500000000001"},
        {"bot": "Hello Alex! Is it +50 00 0000 0001 for order A-1001 of 2026-03-03?"},
        {"click": {"title": "My card is 5000 0000 0000 0002", "payload": {"id": 50000003}}},
    ]


def test_unmasked_everything_stays() -> None:
    scenario = as_scenario(story(message("user", "ada@lovelace.org")), "test", NoMask())
    assert scenario["user"] == ADA
    assert scenario["steps"] == [{"user": "ada@lovelace.org"}]


@given(
    st.text(max_size=40),
    st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.com", fullmatch=True),
    st.integers(10**6, 10**15),
)
def test_no_address_and_no_long_number_survives(text: str, address: str, number: int) -> None:
    masked = Mask(ADA).text(f"{text} {address} {text} {number} {text} Lovelace")
    assert f" {address} " not in f" {masked} " or address.startswith("person")
    assert f" {number} " not in f" {masked} " or str(number).startswith("5000")
    assert "lovelace" not in masked.lower()


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("IBAN DE89370400440532013000", "IBAN DE50000000000000000001"),
        ("de89 3704 0044 0532 0130 00, please", "de50 0000 0000 0000 0000 01, please"),
        ("NL91ABNA0417164300", "NL91ABNA5000000001"),
        ("REF123456 and 123456x", "REF500001 and 500001x"),
        ("+49 (30) 123-4567", "+50 (00) 000-0001"),
        (
            "born 1990-12-31 or 31.12.1990, at 1990-12-31T10:00",
            "born 1990-12-31 or 31.12.1990, at 1990-12-31T10:00",
        ),
        ("A-1001, Q1 2024, 99999", "A-1001, Q1 2024, 99999"),
    ],
)
def test_digits_are_masked_also_between_letters_but_dates_stay(said: str, masked: str) -> None:
    assert Mask(ADA).text(said) == masked


def test_an_iban_is_the_same_one_in_groups_and_without() -> None:
    mask = Mask(ADA)
    assert mask.text("DE89 3704 0044 0532 0130 00").replace(" ", "") == mask.text("DE89370400440532013000")


def test_a_short_name_does_not_mask_other_words() -> None:
    assert Mask({"name": "An Li"}).text("An and Li met an analyst") == "Alex and Example met an analyst"


def test_the_file_can_be_read_as_a_scenario(tmp_path: Path) -> None:
    everything = (message("user", "Größe: 3"), message("bot", "yes"), JOINED, TRANSFER, QUEUED, LEFT)
    scenario = as_scenario(story(*everything), "Conversation 7", Mask(ADA))
    path = tmp_path / "exported.yaml"
    path.write_text(as_yaml(scenario, masked=True))
    assert yaml.safe_load(path.read_text()) == scenario
    assert "masked" in path.read_text().splitlines()[0]
    assert read(path).scenario.endpoint == "orders"
