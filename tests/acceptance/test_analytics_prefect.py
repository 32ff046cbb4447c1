"""Analytics with everything real: flows that count and compare, automations, artifacts, console and OData."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import httpx
import pytest

from tests.acceptance.running import PARLEY, eventually
from tests.acceptance.stage import Stage

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

ENDS = ("COMPLETED", "FAILED", "CRASHED")


def deployments(stage: Stage) -> dict[str, str]:
    """Ids of the deployments by name."""
    found = stage.prefect.post("/deployments/filter", json={}).raise_for_status().json()
    return {each["name"]: each["id"] for each in found}


def automations(stage: Stage) -> list[str]:
    """Names of Parley's automations."""
    found = stage.prefect.post("/automations/filter", json={}).raise_for_status().json()
    return sorted(each["name"] for each in found if each["name"].startswith("Parley"))


def run(stage: Stage, name: str) -> None:
    """Run a deployment and see it complete."""
    eventually(lambda: name in deployments(stage), within=180, what="deployments")
    path = f"/deployments/{deployments(stage)[name]}/create_flow_run"
    made = stage.prefect.post(path, json={"state": {"type": "SCHEDULED"}}).raise_for_status().json()["id"]

    def end() -> str | None:
        found = stage.prefect.get(f"/flow_runs/{made}").raise_for_status().json()["state"]["type"]
        return str(found) if found in ENDS else None

    assert eventually(end, within=200, what=f"the run of {name}") == "COMPLETED"


def artifacts(stage: Stage, run: str) -> list[dict[str, Any]]:
    """A run's artifacts."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    found: list[dict[str, Any]] = stage.prefect.post("/artifacts/filter", json=wanted).json()
    return found


def test_a_session_is_counted_shown_and_read_from_outside(stage: Stage) -> None:
    talk = stage.talk("asks")
    talk.say("whispered-word")
    talk.said("Question 1?")
    eventually(lambda: stage.run_states(talk) == ["COMPLETED"], within=60, what="the end of the run")
    flow_run = stage.runs_of(talk)[0]["id"]
    eventually(lambda: len(artifacts(stage, flow_run)) == 1, within=150, what="the summary")
    [summary] = artifacts(stage, flow_run)
    assert summary["type"] == "markdown" and "| turns | 1 |" in summary["data"]
    assert "whispered" not in str(summary)

    run(stage, "roll-up")
    assert stage.value("SELECT sum(sessions) FROM analytics_hours WHERE endpoint = 'asks'") >= 1
    run(stage, "reconcile")
    assert stage.value("SELECT state FROM session_run WHERE flow_run_id::text = $1", flow_run) == "Completed"

    made = subprocess.run(
        [PARLEY, "token", "new", "--scope", "analytics", "--endpoint", "asks"],
        env={**stage.parley.variables, "PARLEY_DATABASE_URL": stage.parley.database_url},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    token = re.findall(r"parley_\S+", made.stdout)[0]
    with httpx.Client(base_url=stage.parley.admin_url, timeout=30) as client:
        asked = {"$filter": f"external_id eq '{talk.id}'", "$expand": "Messages"}
        answer = client.get(
            "/odata/v1/Conversations", params=asked, auth=("anyone", token)
        ).raise_for_status()
        [conversation] = answer.json()["value"]
        assert [each["text"] for each in conversation["Messages"]] == ["whispered-word", "Question 1?"]
        assert client.get("/odata/v1/Conversations").status_code == 401
        page = client.get(f"/console/conversations/{talk.number}").raise_for_status().text
        assert "whispered-word" in page and f"/runs/flow-run/{flow_run}" in page


def test_a_run_that_is_deleted_in_prefect_is_deleted_here(stage: Stage) -> None:
    talk = stage.talk("asks")
    talk.say("hello")
    talk.said("Question 1?")
    eventually(lambda: stage.run_states(talk) == ["COMPLETED"], within=60, what="the end of the run")
    flow_run = stage.runs_of(talk)[0]["id"]
    row = "SELECT ended_at IS NOT NULL FROM session_run WHERE flow_run_id::text = $1"
    eventually(lambda: stage.value(row, flow_run), within=150, what="the end in the run's row")
    stage.prefect.delete(f"/flow_runs/{flow_run}").raise_for_status()
    stage.rows(
        "UPDATE session_run SET opened_at = opened_at - interval '5 minutes', "
        "ended_at = ended_at - interval '4 minutes' WHERE flow_run_id::text = $1",
        flow_run,
    )
    run(stage, "reconcile")
    assert stage.value("SELECT state FROM session_run WHERE flow_run_id::text = $1", flow_run) == "Deleted"


def test_the_automations_are_installed_once(stage: Stage) -> None:
    wanted = ["Parley: dead letters", "Parley: zombies"]
    eventually(lambda: automations(stage) == wanted, within=180, what="automations")
    done = subprocess.run(
        [PARLEY, "deploy"],
        env={**stage.parley.variables, "PARLEY_DATABASE_URL": stage.parley.database_url},
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert automations(stage) == wanted


def test_dead_letters_are_told_of_and_listed(stage: Stage) -> None:
    eventually(lambda: "dead-letters" in deployments(stage), within=180, what="deployments")
    eventually(lambda: "Parley: dead letters" in automations(stage), within=180, what="the automation")
    talk = stage.talk("asks")
    talk.say("hello")
    talk.said("Question 1?")
    stage.rows(
        "INSERT INTO delivery (endpoint, conversation_id, status, reason, expires_at, ended_at, attempts) "
        "VALUES ('asks', $1, 'dead', 'refused with 400', now(), now() - interval '2 minutes', 1)",
        talk.number,
    )
    stage.rows("DELETE FROM reached")  # an earlier run could not see it yet
    run(stage, "roll-up")

    def listed() -> bool:
        latest = stage.prefect.get("/artifacts/dead-letters/latest")
        return latest.status_code == 200 and "refused with 400" in str(latest.json()["data"])

    eventually(listed, within=120, what="the artifact that the automation's run writes")
    stage.rows("DELETE FROM delivery WHERE reason = 'refused with 400'")
