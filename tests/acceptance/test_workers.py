"""Workers side by side, frozen, and asked to end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from app.sandbox import calls
from tests.acceptance.running import PARLEY, eventually
from tests.acceptance.stage import HOLD_GATE, Stage, frozen, gate, gone

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def start_second(stage: Stage) -> Iterator[Start]:
    """Starts a second worker, once; it ends with this module."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        if not started:
            variables = {
                **stage.parley.variables,
                "PARLEY_DATABASE_URL": stage.parley.database_url,
            }
            with (stage.parley.folder / "stderr").open("ab") as log:
                started.append(
                    subprocess.Popen([PARLEY, "work"], env=variables, cwd=stage.parley.folder, stderr=log)
                )
        eventually(lambda: alive(stage, started[0].pid), within=60, what="the second worker")
        return started[0]

    yield start
    for process in started:
        process.terminate()
        try:
            assert process.wait(15) == 0
        finally:
            process.kill()


def alive(stage: Stage, pid: int) -> bool:
    """Whether that worker's lease runs."""
    return bool(
        stage.value(
            "SELECT count(*) FROM worker WHERE pid = $1 AND stopped_at IS NULL AND alive_until > now()", pid
        )
    )


def test_a_worker_that_is_asked_to_end_finishes_its_turns_and_gives_everything_back(
    stage: Stage,
) -> None:
    stage.runs_open()
    pid = stage.worker_pid()
    number = stage.value("SELECT id FROM worker WHERE pid = $1 AND stopped_at IS NULL", pid)
    idle, busy = stage.talk("asks"), stage.talk("works")
    idle.say("hi")
    idle.said("Question 1?")
    busy.say("drained-step")
    stage.signalled("drained-step.begun")
    busy.texts(1)
    eventually(lambda: stage.run_states(busy) == ["RUNNING"], within=60, what="an open run")
    os.kill(pid, signal.SIGTERM)
    begun = time.monotonic()
    eventually(lambda: idle.column("owner") is None, within=5, what="the idle conversation given back")
    assert not gone(pid)
    stage.signal("drained-step.go")
    eventually(lambda: gone(pid), within=10, what="the worker's end")
    assert time.monotonic() - begun < 10
    busy.said("One moment…", "Live: by 1")
    assert stage.value("SELECT count(*) FROM conversation WHERE owner = $1", number) == 0
    assert stage.value("SELECT stopped_at FROM worker WHERE id = $1", number) is not None
    assert stage.run_states(busy) == ["COMPLETED"]
    assert set(stage.run_states(idle)) <= {"COMPLETED"}  # a slow Prefect may have opened none
    assert busy.column("deaths") == idle.column("deaths") == 0
    stage.worker_pid()
    idle.say("and on it goes")
    idle.said("Question 1?", "Question 2?")


def test_a_worker_that_is_asked_to_end_while_a_step_hangs_ends_and_the_next_one_goes_on(stage: Stage) -> None:
    pid = stage.worker_pid()
    number = stage.value("SELECT id FROM worker WHERE pid = $1 AND stopped_at IS NULL", pid)
    stuck = stage.talk("hangs")
    stuck.say("hung-step")
    stage.signalled("hung-step.begun")
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: gone(pid), within=11, what="the worker's end")
    assert stage.value("SELECT stopped_at FROM worker WHERE id = $1", number) is not None
    stuck.said("Live: by 2")
    assert stage.worker_pid() != pid


def test_a_worker_frozen_past_its_lease_and_woken_sends_and_commits_nothing(
    stage: Stage, start_second: Start
) -> None:
    pid = stage.worker_pid()
    in_step = stage.talk("works")
    in_step.say("frozen-step")
    stage.signalled("frozen-step.begun")
    in_step.texts(1)
    before, after = stage.talk("holds"), stage.talk("parrot", id="gate-frozen")
    before.say("frozen")
    stage.signalled("frozen.begun")
    row = "SELECT 1 FROM conversation WHERE external_id = $1 FOR UPDATE"
    locked = stage.database.holding
    with gate(stage), locked(row, before.id) as at_commit, locked(HOLD_GATE) as in_commit:
        after.say("about to be sent|and more")
        stage.signal("frozen.go")
        eventually(lambda: at_commit.awaited() and in_commit.awaited(), within=20, what="both points")
        with frozen(pid):
            in_commit.release()
            eventually(after.deliveries, within=5, what="the commit")
            at_commit.release()
            second = start_second()
            steps = stage.signals / "frozen-step.begun"
            eventually(lambda: len(steps.read_text().splitlines()) == 2, within=20, what="the step again")
            stage.signal("frozen-step.go")
            in_step.said("One moment…", "Live: by 2")
            before.said("held frozen")
            after.said("about to be sent", "and more")
            owners = "SELECT w.pid FROM conversation c JOIN worker w ON w.id = c.owner WHERE c.id = $1"
            assert {stage.value(owners, talk.number) for talk in (before, after, in_step)} <= {
                second.pid,
                None,
            }
            assert not alive(stage, pid)
    # It renews its lease only after everything that waited in its event loop has had its turn.
    eventually(lambda: alive(stage, pid), within=20, what="the woken worker")
    in_step.said("One moment…", "Live: by 2")
    before.said("held frozen")
    after.said("about to be sent", "and more")
    sent = stage.sandbox(calls.rest_calls(conversation=after.id, operation="send_message")).calls
    assert len(sent) == 2

    def told() -> set[str]:
        return {entry["event"] for entry in stage.log() if entry.get("conversation") == in_step.number}

    eventually(lambda: "ownership_lost" in told(), within=20, what="the woken worker's step given up")
    assert "conversation_failed" not in told()


def workers_of_many(stage: Stage) -> set[int]:
    """The process ids of the workers that answer thirty users; each user is one worker's."""
    talks = [stage.talk("workers") for _ in range(30)]
    for word in ("first", "second"):
        for talk in talks:
            talk.say(word)
    used: set[int] = set()
    for talk in talks:
        texts = [text.split(" by ") for text in talk.texts(2)]
        talk.quiet()
        assert [word for word, _ in texts] == ["first", "second"]
        handled = {int(pid) for _, pid in texts}
        assert len(handled) == 1
        used |= handled
    return used


def test_two_workers_share_the_work_and_no_conversation_is_handled_by_both(
    stage: Stage, start_second: Start
) -> None:
    pids = {stage.worker_pid(), start_second().pid}

    def leases() -> dict[int, datetime]:
        query = "SELECT pid, alive_until FROM worker WHERE pid = ANY($1) AND stopped_at IS NULL"
        return {row["pid"]: row["alive_until"] for row in stage.rows(query, list(pids))}

    busy = [stage.talk("works") for _ in range(4)]
    for number, talk in enumerate(busy):
        talk.say(f"shared-{number}")
    for number in range(len(busy)):
        stage.signalled(f"shared-{number}.begun")
    since = leases()
    used: set[int] = set()

    def both_had_work() -> bool:
        used.update(workers_of_many(stage))
        return used == pids

    eventually(both_had_work, within=60, what="work for both")

    def have_looked() -> bool:
        now = leases()
        return all(now[pid] - since[pid] > timedelta(seconds=2.5) for pid in pids)

    eventually(have_looked, within=20, what="both workers looking for what is due")
    for number, talk in enumerate(busy):
        stage.signal(f"shared-{number}.go")
        talk.said("One moment…", "Live: by 1")
