"""The judge of `make faults` sees each kind of violation in handovers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.faults.desk import helped_with
from tests.faults.judge import Verdict, judge
from tests.faults.ledger import Delivery, Handover, Ledger
from tests.faults.troubles import Happened
from tests.unit.test_faults_judge import attempt, event, message

TALK = "desk-1"


@dataclass
class Desk:
    """A run in which all went well: two wishes of one user, an agent who helped with both."""

    ledger: Ledger = field(default_factory=Ledger)
    bot: dict[str, float] = field(default_factory=dict)
    helped: list[str] = field(default_factory=lambda: ["w1", "w2"])
    ignored: int = 0

    def ends(self, wish: int, status: str) -> None:
        """That handover ended so, and the bot said so."""
        self.ledger.handovers[TALK][wish - 1] = Handover(status)
        reply = self.ledger.deliveries[TALK][wish - 1]
        at = self.bot.pop(reply.text)
        self.ledger.deliveries[TALK][wish - 1] = replace(reply, text=f"w{wish} {status}")
        self.bot[f"w{wish} {status}"] = at

    @property
    def verdict(self) -> Verdict:
        """What the judge says."""
        messages = [message("user", f"w{number}", 100.0 + 10 * number, TALK) for number in (1, 2)]
        messages += [
            message("bot", text, at, TALK) for text, at in sorted(self.bot.items(), key=lambda said: said[1])
        ]
        happened = [Happened("assignment-ignored", 0, 1, self.ignored)]
        return judge([], messages, self.ledger, happened, users_wrote=2, helped=self.helped)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    for number in (1, 2):
        at = 100.0 + 10 * number
        text = f"w{number} completed"
        desk.ledger.events.append(replace(event(number, at), talk=TALK, text=f"w{number}"))
        desk.ledger.inputs[TALK].append(number)
        desk.ledger.handovers[TALK].append(Handover("completed"))
        desk.ledger.deliveries[TALK].append(Delivery(number, text, "sent", None, (attempt("sent", at + 5),)))
        desk.ledger.agents[helped_with(f"w{number}")] = 1
        desk.bot[text] = at + 5.01
    return desk


def test_a_good_run_is_good(desk: Desk) -> None:
    verdict = desk.verdict
    assert verdict.violations == []
    assert verdict.counts["handovers, ended once and the bot back"] == 2


def _a_wish_is_lost(desk: Desk) -> None:
    desk.ledger.inputs[TALK].remove(2)


def _there_is_no_handover(desk: Desk) -> None:
    del desk.ledger.handovers[TALK][1]


def _there_is_one_too_many(desk: Desk) -> None:
    desk.ledger.handovers[TALK].append(Handover("completed"))


def _an_agent_comes_unasked(desk: Desk) -> None:
    desk.ledger.handovers[TALK].append(Handover("completed", asked=False))


def _an_agent_comes_unasked_after_8x8_had_told_of_the_first(desk: Desk) -> None:
    desk.ledger.handovers[TALK][1] = Handover("completed", assigned_again=2000, told=1999)
    desk.ledger.handovers[TALK].append(Handover("completed", asked=False))


def _two_agents_come_unasked(desk: Desk) -> None:
    desk.ledger.handovers[TALK][1] = Handover("completed", assigned_again=2000, told=2001)
    desk.ledger.handovers[TALK] += [Handover("completed", asked=False)] * 2


def _it_never_ends(desk: Desk) -> None:
    desk.ends(2, "active")


def _it_fails_though_nothing_was_ignored(desk: Desk) -> None:
    desk.ends(1, "failed")


def _it_fails_though_one_assignment_was_taken(desk: Desk) -> None:
    desk.ends(1, "failed")
    desk.ignored = 1


def _the_bot_says_another_end(desk: Desk) -> None:
    desk.ledger.handovers[TALK][0] = Handover("failed")
    desk.ignored = 2


def _the_bot_is_never_back(desk: Desk) -> None:
    del desk.ledger.deliveries[TALK][1], desk.bot["w2 completed"]


def _what_an_agent_wrote_is_lost(desk: Desk) -> None:
    del desk.ledger.agents[helped_with("w2")]


def _what_an_agent_wrote_is_there_twice(desk: Desk) -> None:
    desk.ledger.agents[helped_with("w2")] = 2


VIOLATIONS: list[Callable[[Desk], None]] = [
    each for name, each in list(globals().items()) if name.startswith("_") and not name.startswith("__")
]


@pytest.mark.parametrize("doctor", VIOLATIONS, ids=lambda doctor: doctor.__name__.strip("_"))
def test_each_violation_is_seen(desk: Desk, doctor: Callable[[Desk], None]) -> None:
    doctor(desk)
    assert desk.verdict.violations


def test_a_handover_may_fail_where_two_assignments_were_ignored(desk: Desk) -> None:
    desk.ends(1, "failed")
    desk.ignored = 2
    assert not desk.verdict.violations


@pytest.mark.parametrize("told", [2001, None])
def test_a_second_handover_is_explained_where_8x8_had_told_nothing_of_the_first(
    desk: Desk, told: int | None
) -> None:
    desk.ledger.handovers[TALK][0] = Handover("completed", assigned_again=2000, told=told)
    desk.ledger.handovers[TALK].insert(1, Handover("completed", asked=False))
    verdict = desk.verdict
    assert verdict.violations == []
    assert len(verdict.again) == 1 and not verdict.explained
    assert verdict.counts["of these a second time for one wish, could not be excluded"] == 1
