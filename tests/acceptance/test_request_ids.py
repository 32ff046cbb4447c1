"""One id, 8x8's event id, finds what receiver and worker logged of a request, and Prefect's run of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.running import Parley, eventually
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.timeout(240)


def lines(parley: Parley, request: str) -> list[dict[str, Any]]:
    """What was logged with this request's id."""
    found = (json.loads(line) for line in parley.errors.splitlines() if request in line)
    return [line for line in found if line.get("request") == request]


def test_receiver_worker_and_prefect_run_are_found_by_the_id_of_one_event(stage: Stage) -> None:
    stage.runs_open()
    talk = stage.talk("asks")
    talk.say("hi")
    talk.texts(1)
    eventually(lambda: stage.run_states(talk) == ["RUNNING"], within=40, what="an open run")
    talk.say("the first answer")
    talk.texts(2)
    newest = "SELECT event_id FROM event WHERE conversation_id = $1 AND outcome = 'input' ORDER BY id DESC"
    request = stage.value(f"{newest} LIMIT 1", talk.number)

    eventually(
        lambda: {"serve", "work"} == {each["part"] for each in lines(stage.parley, request)}, within=20
    )
    (received,) = [each for each in lines(stage.parley, request) if each["part"] == "serve"]
    (worked,) = [each for each in lines(stage.parley, request) if each["event"] == "handled"]
    assert (received["event"], received["endpoint"]) == ("event", "asks")
    assert worked["conversation"] == talk.number

    def turns() -> list[dict[str, Any]]:
        wanted = {"task_runs": {"tags": {"all_": [f"request:{request}"]}}}
        found: list[dict[str, Any]] = stage.prefect.post("/task_runs/filter", json=wanted).json()
        return found

    eventually(lambda: len(turns()) == 1, within=40, what="the turn's task run")
    (turn,) = turns()
    (run,) = stage.runs_of(talk)
    assert turn["flow_run_id"] == run["id"] == worked["flow_run"]
    assert turn["name"].startswith("turn ")
