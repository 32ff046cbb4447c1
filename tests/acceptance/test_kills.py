"""kill -9 of the worker at any point: nothing is lost, doubled or reordered, and no event is needed to go on.

One kill meets several conversations, each at a point of its own; the tests look at one each.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import pytest

from app.sandbox import calls
from app.sandbox.faults import AnswerLost, EchoOff
from tests.acceptance.running import eventually
from tests.acceptance.stage import HOLD_GATE, Stage, Talk, frozen, gate, gone


@dataclass
class Killed:
    """Conversations, and where the kill met them."""

    before_commit: Talk
    after_commit: Talk
    in_step: Talk
    after_send: Talk
    waiting_for_timer: Talk


def unheard(stage: Stage, endpoint: str) -> Talk:
    """A conversation whose bot hears no echo: an echo is an event too, and would wake it."""
    talk = stage.talk(endpoint)
    stage.sandbox(calls.add_fault(EchoOff(conversation=talk.id)))
    return talk


@pytest.fixture(scope="module")
def killed(stage: Stage) -> Killed:
    """Bring each conversation to its point and kill the worker there."""
    stage.runs_open()
    pid = stage.worker_pid()
    in_step = unheard(stage, "works")
    in_step.say("killed-step")
    stage.signalled("killed-step.begun")
    in_step.texts(1)
    eventually(lambda: stage.run_states(in_step) == ["RUNNING"], within=60, what="an open run")

    after_send = unheard(stage, "parrot")
    lost = AnswerLost(conversation=after_send.id, how="hang", hold_ms=15_000, count=1)
    stage.sandbox(calls.add_fault(lost))
    after_send.say("A|B|C")
    after_send.texts(1)

    timer = unheard(stage, "patient")
    timer.say("hi")
    timer.texts(1)

    before, after = stage.talk("holds"), stage.talk("parrot", id="gate-after-commit")
    before.say("before-commit")
    stage.signalled("before-commit.begun")  # the worker stands still in the middle of that turn
    row = "SELECT 1 FROM conversation WHERE external_id = $1 FOR UPDATE"
    locked = stage.database.holding
    with gate(stage), locked(row, before.id) as at_commit, locked(HOLD_GATE) as in_commit:
        after.say("committed|and more")
        stage.signal("before-commit.go")
        eventually(lambda: at_commit.awaited() and in_commit.awaited(), within=20, what="both points")
        with frozen(pid):
            in_commit.release()
            eventually(after.deliveries, within=5, what="the commit")
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: gone(pid), within=5, what="the worker's end")
        assert before.deliveries() == []
    assert after.deliveries() == [("sending", 1), ("waiting", 0)]
    assert stage.sandbox(calls.rest_calls(conversation=after.id)).calls == []
    stage.signal("killed-step.go")
    return Killed(before, after, in_step, after_send, timer)


def test_before_the_commit_the_turn_happens_again(killed: Killed) -> None:
    killed.before_commit.said("held before-commit")


def test_after_the_commit_what_was_not_sent_is_sent(killed: Killed) -> None:
    killed.after_commit.said("committed", "and more")
    assert killed.after_commit.deliveries() == [("sent", 2), ("sent", 1)]


def test_in_the_middle_of_a_step_it_runs_again_with_the_same_key(killed: Killed, stage: Stage) -> None:
    killed.in_step.said("One moment…", "Live: by 2")
    keys = (stage.signals / "killed-step.begun").read_text().splitlines()
    assert len(keys) == 2 and keys[0] == keys[1] != ""


def test_a_steps_result_is_the_same_when_it_is_replayed_by_another_process(killed: Killed) -> None:
    killed.in_step.texts(2)
    killed.in_step.say("and again")
    killed.in_step.said("One moment…", "Live: by 2", "Replayed: by 2")


def test_after_the_send_it_is_found_and_not_sent_again_and_the_rest_follows(killed: Killed) -> None:
    killed.after_send.said("A", "B", "C")
    assert killed.after_send.deliveries() == [("sent", 1), ("sent", 1), ("sent", 1)]


def test_a_timer_that_was_due_meanwhile_fires(killed: Killed) -> None:
    killed.waiting_for_timer.said("Still there?", "Bye.")


def test_a_run_that_the_dead_worker_left_is_marked_crashed(killed: Killed, stage: Stage) -> None:
    eventually(lambda: stage.run_states(killed.in_step)[0] == "CRASHED", within=60, what="the mark")

    def next_ended() -> bool:
        return set(stage.run_states(killed.in_step)[1:]) <= {"COMPLETED"}

    eventually(next_ended, within=60, what="the next run's end")


def test_a_dialog_of_five_questions_survives_a_kill_after_each_and_so_do_bursts(stage: Stage) -> None:
    talk = stage.talk("asks")
    talk.say("hi")
    bursts: list[Talk] = []
    for number in range(1, 6):
        talk.texts(number)
        burst = [stage.talk("parrot") for _ in range(4)]
        for word in ("one", "two", "three|four"):
            for other in burst:
                other.say(word)
        stage.crash_worker()
        talk.say(f"answer-{number}")
        bursts += burst
    answers = " ".join(f"answer-{number}" for number in range(1, 6))
    talk.said(*(f"Question {number}?" for number in range(1, 6)), f"Answers: {answers}")
    for other in bursts:
        other.said("one", "two", "three", "four")
