"""`parley up`: starts everything, keeps it running, stops everything."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.acceptance.running import PARTS, Parley, answers, eventually

pytestmark = pytest.mark.timeout(400)

OwnParley = Callable[..., Parley]


def test_it_says_once_that_it_is_ready_and_every_part_answers(parley: Parley) -> None:
    lines = parley.output.splitlines()
    assert lines.count("Parley is ready") == 1
    assert lines[-1] == "Parley is ready"
    assert f"echo: {parley.url}/8x8/…" in lines  # its output is no terminal: no token
    assert httpx.get(f"{parley.url}/health").status_code == 200
    assert httpx.get(f"{parley.admin_url}/ready").status_code == 200
    assert httpx.get(f"{parley.sandbox_url}/sandbox/api/health").status_code == 200
    assert httpx.get(f"{parley.prefect_url}/health").status_code == 200
    assert "<html" in httpx.get(parley.prefect_url.removesuffix("/api"), follow_redirects=True).text.lower()
    for name in PARTS:
        eventually(lambda name=name: parley.part(name), within=10, what=f"process of the {name}")  # type: ignore[misc]


def test_a_person_can_talk_to_a_bot_in_the_terminal(parley: Parley) -> None:
    done = parley.run("chat", "--endpoint", "echo", input="Good morning, Parley\n")
    assert done.returncode == 0, done.stderr + parley.errors[-4000:]
    assert done.stdout.count("Good morning, Parley") >= 1


@pytest.mark.parametrize(
    "name", ["worker", "receiver", "sandbox", "PostgreSQL", "Prefect server", "Prefect worker"]
)
def test_a_part_that_is_killed_is_started_again_within_five_seconds(parley: Parley, name: str) -> None:
    eventually(lambda: parley.part(name), within=10, what=name)
    killed = parley.part(name)
    assert killed is not None
    killed.kill()

    def again() -> bool:
        part = parley.part(name)
        return part is not None and part.pid != killed.pid

    eventually(again, within=5, what=f"a new {name}")
    eventually(lambda: answers(f"{parley.admin_url}/ready"), within=60, what="ready")
    eventually(
        lambda: answers(f"{parley.sandbox_url}/sandbox/api/health"),
        within=60,
        what="sandbox",
    )
    eventually(lambda: answers(f"{parley.prefect_url}/health"), within=90, what="Prefect")
    eventually(
        lambda: parley.run("chat", "--endpoint", "echo", input="Still there?\n").returncode == 0,
        within=60,
        what="an answer",
    )


def test_scheduled_flows_are_deployed_and_run(parley: Parley) -> None:
    with parley.prefect() as prefect:

        def deployments() -> dict[str, str]:
            found = prefect.post("/deployments/filter", json={}).json()
            return {each["name"]: each["id"] for each in found}

        eventually(lambda: {"sweep", "redrive"} <= set(deployments()), within=120, what="deployments")

        def start(name: str, parameters: dict[str, str]) -> str:
            path = f"/deployments/{deployments()[name]}/create_flow_run"
            made = prefect.post(path, json={"state": {"type": "SCHEDULED"}, "parameters": parameters})
            return str(made.raise_for_status().json()["id"])

        runs = [start("sweep", {}), start("redrive", {"endpoint": "echo"})]

        def states() -> list[str]:
            return [prefect.get(f"/flow_runs/{run}").json()["state"]["type"] for run in runs]

        eventually(
            lambda: all(state in ("COMPLETED", "FAILED", "CRASHED") for state in states()),
            within=200,
            what="runs",
        )
        assert states() == ["COMPLETED", "COMPLETED"]


def test_nothing_is_written_to_the_users_own_folder(parley: Parley) -> None:
    assert list((parley.folder / "user").iterdir()) == []


@pytest.mark.slow
def test_it_stops_within_15_seconds_and_leaves_nothing_behind(own_parley: OwnParley) -> None:
    parley = own_parley()
    parley.fresh = True
    parley.start()
    parley.wait_until_ready()
    begun = time.monotonic()
    assert parley.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 15
    assert parley.left_behind() == []

    parley.start()  # the same home again, and Ctrl-C while it is starting
    eventually(lambda: parley.part("PostgreSQL"), within=60, what="PostgreSQL")
    begun = time.monotonic()
    parley.stop(signal.SIGINT)
    assert time.monotonic() - begun < 15
    assert parley.left_behind() == []


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel ends children with their parent on Linux only"
)
def test_a_kill_of_up_itself_leaves_nothing_behind_and_the_next_start_works(
    own_parley: OwnParley, parley: Parley
) -> None:
    shared, parley = parley, own_parley("--no-sandbox")
    parley.start()
    parley.wait_until_ready()
    assert parley.part("sandbox") is None
    assert parley.process is not None
    parley.processes()
    os.kill(parley.process.pid, signal.SIGKILL)
    parley.process.wait()
    eventually(lambda: not parley.left_behind(), within=20, what="the end of every part")

    (parley.folder / "stdout").unlink()
    parley.variables["PREFECT_API_URL"] = shared.prefect_url
    parley.start()
    parley.wait_until_ready()
    assert parley.part("Prefect server") is None
    assert parley.stop() == 0


def test_without_an_endpoint_that_talks_to_it_the_sandbox_is_left_out(
    own_parley: OwnParley, parley: Parley, tmp_path: Path
) -> None:
    (tmp_path / "endpoints.yaml").write_text(
        "endpoints:\n  - {name: real, token: a-token-of-24-characters, flow: 'flows.bots.echo:echo', "
        "eightxeight: {api_key: key-of-8x8-long-enough}}\n"
    )
    real = own_parley(PARLEY_ENDPOINTS=str(tmp_path / "endpoints.yaml"), PREFECT_API_URL=parley.prefect_url)
    real.start()
    real.wait_until_ready()
    assert real.part("sandbox") is None
    port = real.variables["PARLEY_SANDBOX_PORT"]
    assert f"sandbox: left out, no endpoint has the base_url http://127.0.0.1:{port}" in real.output
    assert "parley chat" not in real.output
    assert real.stop() == 0


def test_a_taken_port_is_named_and_nothing_is_started(own_parley: OwnParley) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        number = taken.getsockname()[1]
        parley = own_parley(PARLEY_PORT=str(number))
        parley.start()
        assert parley.process is not None
        assert parley.process.wait(60) != 0
    assert f"port {number} (PARLEY_PORT) is taken" in parley.errors
    assert "Traceback" not in parley.errors
    assert "Parley is ready" not in parley.output
    assert not (parley.home / "postgres").exists()


def test_two_at_once_in_one_home_are_refused(own_parley: OwnParley, parley: Parley) -> None:
    second = own_parley(PARLEY_HOME=str(parley.home))
    second.start()
    assert second.process is not None
    assert second.process.wait(60) != 0
    assert "another Parley runs in" in second.errors
    assert httpx.get(f"{parley.admin_url}/ready").status_code == 200


def test_mistakes_in_endpoints_yaml_stop_it_with_a_message(own_parley: OwnParley, tmp_path: Path) -> None:
    (tmp_path / "endpoints.yaml").write_text("endpoints:\n  - name: a\n    tokn: ${NOWHERE}\n")
    parley = own_parley(PARLEY_ENDPOINTS=str(tmp_path / "endpoints.yaml"))
    parley.start()
    assert parley.process is not None
    assert parley.process.wait(60) == 2
    assert "did you mean 'token'?" in parley.errors
    assert "NOWHERE is not set" in parley.errors
    assert "Traceback" not in parley.errors


def test_a_bot_that_can_not_be_imported_stops_up_and_a_worker_before_anything_is_started(
    own_parley: OwnParley, tmp_path: Path
) -> None:
    key = "{api_key: key-of-8x8-long-enough}"
    (tmp_path / "endpoints.yaml").write_text(
        "endpoints:\n"
        f"  - {{name: a, token: a-token-of-24-chars, flow: 'nosuch:bot', eightxeight: {key}}}\n"
        f"  - {{name: b, token: b-token-of-24-chars, flow: 'flows.bots.echo:nobot', eightxeight: {key}}}\n"
    )
    parley = own_parley("--no-sandbox", PARLEY_ENDPOINTS=str(tmp_path / "endpoints.yaml"))
    parley.start()
    assert parley.process is not None
    assert parley.process.wait(60) == 2
    worker = parley.run("work")
    assert worker.returncode == 2
    for errors in (parley.errors, worker.stderr):
        assert "endpoints[0].flow: (a) there is no module 'nosuch'" in errors
        assert "endpoints[1].flow: (b) flows.bots.echo has no 'nobot'" in errors
        assert "Traceback" not in errors
    assert not parley.home.exists() or not (parley.home / "postgres").exists()


def test_a_database_that_is_not_there_stops_it_with_a_message(own_parley: OwnParley) -> None:
    parley = own_parley(PARLEY_DATABASE_URL="postgresql://nobody:s3cret@127.0.0.1:1/none")
    parley.start()
    assert parley.process is not None
    assert parley.process.wait(90) == 1
    assert "PARLEY_DATABASE_URL can't be reached" in parley.errors
    assert "Traceback" not in parley.errors
    assert "s3cret" not in parley.errors
    assert [each for each in parley.seen.values() if psutil.pid_exists(each.pid)] == []
