"""Prefect shows what happens, and nothing depends on it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import Any

import pytest

from tests.acceptance.running import PARLEY, answers, eventually
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.timeout(240)


def tasks(stage: Stage, run: dict[str, Any]) -> list[str]:
    """Names of a run's task runs, oldest first."""
    wanted = {"task_runs": {"flow_run_id": {"any_": [run["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
    found = stage.prefect.post("/task_runs/filter", json=wanted).raise_for_status().json()
    return [task["name"] for task in found]


def test_a_lively_stretch_is_one_run_with_name_tags_and_tasks_and_without_a_word(stage: Stage) -> None:
    stage.runs_open()
    talk = stage.talk("works")
    stage.signal("whispered-secret.go")
    talk.say("whispered-secret")
    talk.said("One moment…", "Live: by 1")
    eventually(lambda: stage.run_states(talk) == ["RUNNING"], within=40, what="an open run")
    talk.say("another whispered-secret")
    talk.said("One moment…", "Live: by 1", "Replayed: by 1")
    eventually(lambda: stage.run_states(talk) == ["COMPLETED"], within=40, what="the end of the run")
    run = stage.runs_of(talk)[0]
    assert run["name"] == f"works · {talk.id} · 1.1"
    assert {"endpoint:works", f"conversation:{talk.id}", "bot:acceptance_bots:works"} == set(run["tags"])

    def row() -> tuple[str, str, int]:
        stored = "SELECT name, state, turns FROM session_run WHERE conversation_id = $1"
        [found] = stage.rows(stored, talk.number)
        return found["name"], found["state"], found["turns"]

    eventually(lambda: row()[1] == "Completed", within=10, what="the end in the run's row")
    turns = row()[2]  # the first was no task where the run took longer to open than a turn waits for it
    assert row()[0] == run["name"] and turns in (1, 2)
    wanted = {f"turn {number}" for number in range(1, turns + 1)} | ({"work"} if turns == 2 else set())
    eventually(lambda: set(tasks(stage, run)) == wanted, within=40, what="tasks")
    files = list((stage.parley.home / "prefect").rglob("*"))
    assert any(file.name == "prefect.db" for file in files)
    for file in files:
        assert not file.is_file() or b"whispered-secret" not in file.read_bytes(), file


def test_a_turn_has_its_times_in_prefect_and_a_long_one_is_seen_while_it_runs(stage: Stage) -> None:
    stage.runs_open()
    talk = stage.talk("works_later")
    talk.say("hi")
    talk.said("What?")
    eventually(lambda: stage.run_states(talk) == ["RUNNING"], within=40, what="an open run")
    run = stage.runs_of(talk)[0]
    talk.say("long-turn")

    def turn() -> dict[str, Any]:
        filters = {"flow_runs": {"id": {"any_": [run["id"]]}}, "task_runs": {"name": {"like_": "turn"}}}
        found = stage.prefect.post("/task_runs/filter", json=filters).raise_for_status().json()
        return max(found, key=lambda each: str(each["start_time"]), default={})

    eventually(lambda: turn().get("state_type") == "RUNNING", within=40, what="the turn running")
    stage.signal("long-turn.go")
    talk.said("What?", "Done.")
    eventually(lambda: turn()["state_type"] == "COMPLETED", within=40, what="the turn completed")
    ended = turn()
    assert ended["total_run_time"] >= 1 and ended["run_count"] == 1
    assert ended["start_time"] < ended["end_time"]


def test_a_run_that_is_cancelled_ends_and_the_conversation_goes_on(stage: Stage) -> None:
    stage.runs_open()
    talk = stage.talk("asks")
    talk.say("hi")
    talk.said("Question 1?")
    eventually(lambda: stage.run_states(talk) == ["RUNNING"], within=40, what="an open run")
    run = stage.runs_of(talk)[0]["id"]
    cancel = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    answers, ended = 0, False
    stage.prefect.post(f"/flow_runs/{run}/set_state", json=cancel).raise_for_status()
    deadline = time.monotonic() + 30
    while not ended and answers < 4:  # kept lively, so that it doesn't just end by itself
        assert time.monotonic() < deadline
        answers += 1
        talk.say(f"a{answers}")
        talk.texts(answers + 1)
        try:
            eventually(lambda: stage.run_states(talk)[0] == "CANCELLED", within=2.5)
            ended = True
        except AssertionError:
            continue
    assert stage.run_states(talk)[0] == "CANCELLED"
    talk.say("goes on")
    talk.said(*(f"Question {number}?" for number in range(1, answers + 3)))


def test_replies_go_on_while_prefect_is_away_and_runs_appear_again_after(stage: Stage) -> None:
    stage.runs_open()
    known = stage.talk("parrot")
    known.say("before")
    known.said("before")
    eventually(lambda: stage.run_states(known) == ["RUNNING"], within=40, what="an open run")
    server = stage.parley.part("Prefect server")
    assert server is not None
    server.kill()

    new = stage.talk("works")
    stage.signal("away.go")
    begun = time.monotonic()
    known.say("while it is away")
    known.said("before", "while it is away")
    new.say("away")
    new.said("One moment…", "Live: by 1")
    assert time.monotonic() - begun < 5
    for number in range(5):
        other = stage.talk("parrot")
        other.say(f"{number}")
        other.said(f"{number}", within=5)

    health = f"{stage.parley.prefect_url}/health"
    eventually(lambda: answers(health), within=90, what="Prefect back")

    after = [stage.talk("asks")]
    deadline = time.monotonic() + 90
    while not any(stage.run_states(talk) for talk in after):
        assert time.monotonic() < deadline, "no run after Prefect came back"
        after.append(stage.talk("asks"))
        after[-1].say("hi")
        after[-1].said("Question 1?")
        with contextlib.suppress(AssertionError):
            eventually(lambda: stage.run_states(after[-1]), within=1)


def test_a_contact_that_is_erased_is_erased_in_prefect_too(stage: Stage) -> None:
    stage.runs_open()
    talk = stage.talk("works_later")
    talk.say("hi")
    talk.said("What?")
    eventually(lambda: stage.run_states(talk) == ["COMPLETED"], within=60, what="the end of the run")
    ended = "SELECT ended_at FROM session_run WHERE conversation_id = $1"
    eventually(lambda: stage.value(ended, talk.number) is not None, within=20, what="the end in its row")
    [run] = stage.runs_of(talk)
    done = subprocess.run(
        [PARLEY, "contacts", "erase", talk.id, "--yes"],
        env={**stage.parley.variables, "PARLEY_DATABASE_URL": stage.parley.database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert stage.prefect.get(f"/flow_runs/{run['id']}").status_code == 404
    assert tasks(stage, run) == [] and stage.runs_of(talk) == []
    assert stage.value("SELECT flow_run_id FROM session_run WHERE name = 'erased'") is None
