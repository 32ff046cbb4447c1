"""The handover's state machine: the same end, whatever the order in which events arrive."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.conversation.handover.machine import Signal, fold

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def story(*kinds: str) -> list[Signal]:
    """Signals a second apart: `joined:a` is agent a joining, `looked:queue` what a look told."""
    signals = []
    for second, kind in enumerate(kinds, start=1):
        name, _, detail = kind.partition(":")
        agent = detail or None if name in ("joined", "wrote", "left") else None
        value = detail or None if name in ("looked", "ended") else None
        signals.append(Signal(name, at(second), agent, value))
    return signals


STORIES = {
    "nobody yet": (["queued"], "queued", 0),
    "an agent has it": (["queued", "joined:a"], "active", 0),
    "joined without QUEUED": (["joined:a"], "active", 0),
    "a message and nothing else": (["queued", "wrote:a"], "active", 0),
    "a message before joined": (["queued", "wrote:a", "joined:a"], "active", 0),
    "done": (["queued", "joined:a", "left:a", "looked:script"], "completed", 0),
    "left, not yet decided": (["queued", "joined:a", "left:a"], "active", 0),
    "moved, left first": (["queued", "joined:a", "left:a", "transfer", "queued", "joined:b"], "active", 1),
    "moved, TRANSFER first": (
        ["queued", "joined:a", "transfer", "left:a", "queued", "joined:b"],
        "active",
        1,
    ),
    "moved without TRANSFER": (["queued", "joined:a", "left:a", "queued", "joined:b"], "active", 1),
    "moved, seen by a look": (["queued", "joined:a", "left:a", "looked:queue"], "queued", 1),
    "another came while one left": (
        ["queued", "joined:a", "left:a", "joined:b", "looked:agent"],
        "active",
        0,
    ),
    "two agents, one leaves": (["queued", "joined:a", "joined:b", "left:a"], "active", 0),
    "moved and done": (
        ["queued", "joined:a", "transfer", "queued", "joined:b", "left:b", "looked:script"],
        "completed",
        1,
    ),
    "the old agent leaves late": (["queued", "joined:a", "transfer", "joined:b", "left:a"], "active", 1),
    "an agent without an id": (["queued", "joined", "left", "looked:script"], "completed", 0),
    "given back to the script": (["queued", "joined:a", "returned"], "completed", 0),
    "a script says nothing while it waits": (["returned", "queued", "returned"], "queued", 0),
    "over with an agent": (["queued", "joined:a", "over", "wrote:a"], "completed", 0),
    "over while it waits": (["queued", "over", "joined:a"], "cancelled", 0),
    "cancelled while waiting": (["queued", "ended:cancelled", "joined:a"], "cancelled", 0),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_the_same_in_every_order_of_arrival(name: str) -> None:
    kinds, status, transfers = STORIES[name]
    signals = story(*kinds)
    rng = random.Random(name)
    for _ in range(50):
        rng.shuffle(signals)
        machine = fold(START, [*signals, *rng.sample(signals, rng.randrange(len(signals)))])
        assert (machine.status, machine.transfers) == (status, transfers)


kinds = st.sampled_from(
    [
        "queued",
        "joined:a",
        "joined:b",
        "joined",
        "wrote:a",
        "left:a",
        "left:b",
        "left",
        "transfer",
        "returned",
        "looked:queue",
        "looked:agent",
        "looked:script",
        "over",
        "ended:cancelled",
        "ended:timed_out",
    ]
)


@given(st.lists(kinds, max_size=12), st.randoms(use_true_random=False))
def test_any_signals_in_any_order_lead_to_one_state(names: list[str], rng: random.Random) -> None:
    signals = story(*names)
    in_order = fold(START, signals)
    rng.shuffle(signals)
    assert fold(START, signals + signals[:3]) == in_order


@given(st.lists(kinds, max_size=12))
def test_state_and_times_fit_together(names: list[str]) -> None:
    machine = fold(START, story(*names))
    assert machine.open == (machine.ended_at is None)
    assert (machine.control == "human") == (machine.status == "active")
    assert machine.leaving_since is None or machine.status == "active"
    assert (machine.status == "active" and machine.leaving_since is None) <= bool(machine.present)
    assert machine.handling_seconds is None or machine.handling_seconds >= 0
    assert machine.waiting_seconds is None or machine.waiting_seconds >= 0


def test_what_is_older_than_the_handover_counts_for_nothing() -> None:
    assert fold(at(5), story("queued", "joined:a")).status == "requested"


@given(st.lists(kinds, max_size=8))
def test_signals_survive_the_database(names: list[str]) -> None:
    assert all(Signal.from_json(signal.to_json()) == signal for signal in story(*names))


def test_an_agent_who_has_another_name_in_the_assignment_still_leaves() -> None:
    signals = [
        Signal("joined", at(1), "a"),
        Signal("assigned", at(2), "resource-a"),
        Signal("left", at(3), "a"),
    ]
    assert fold(START, signals).leaving_since == at(3)


def test_an_agent_known_by_the_assignment_alone_still_leaves() -> None:
    signals = [Signal("assigned", at(1), "resource-a"), Signal("left", at(2), "a")]
    assert fold(START, signals).leaving_since == at(2)


def test_a_queue_after_an_assignment_to_an_agent_is_a_transfer_and_before_it_is_old_news() -> None:
    joined, assigned = Signal("joined", at(1), "a"), Signal("assigned", at(3), "a")
    assert fold(START, [joined, Signal("enqueued", at(2)), assigned]).status == "active"
    assert fold(START, [joined, assigned, Signal("enqueued", at(4))]).transfers == 1


def test_an_assignment_repeated_after_the_agent_moved_it_on_brings_nobody_back() -> None:
    signals = [Signal("joined", at(1), "a"), Signal("transfer", at(2)), Signal("assigned", at(3), "a")]
    assert fold(START, signals).status == "transferred"


@pytest.mark.parametrize("first", [0, 1])
def test_who_joins_in_the_millisecond_of_the_queue_is_there(first: int) -> None:
    signals = [Signal("queued", at(1)), Signal("joined", at(1), "a")]
    assert fold(START, [signals[first], signals[1 - first]]).status == "active"


def test_behind_a_gate_agents_count_once_8x8_has_told_of_the_queue() -> None:
    late = [Signal("joined", at(1), "a"), Signal("left", at(2), "a"), Signal("returned", at(3))]
    assert fold(START, late, gate="102").status == "requested"
    wrong = Signal("enqueued", at(2), value="101")
    assert fold(START, [*late, wrong], gate="102").status == "requested"
    right = Signal("queued", at(4), value="102")
    assert fold(START, [*late, wrong, right], gate="102").status == "queued"
    joined = Signal("joined", at(5), "b")
    assert fold(START, [joined, right, *late], gate="102").agents == ("b",)


@pytest.mark.parametrize("value", ["queue", "agent", "script", None])
def test_a_look_opens_the_gate(value: str | None) -> None:
    signals = [Signal("found", at(1), value=value), Signal("joined", at(2), "b")]
    assert fold(START, signals, gate="102").agents == ("b",)
