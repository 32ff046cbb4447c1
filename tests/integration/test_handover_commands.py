"""Handovers listed and in a timeline, and `parley endpoints mode`, called as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.database.engine import connect
from tests.integration.test_commands import Run, runner

ROWS = """
INSERT INTO conversation (endpoint, external_id) VALUES ('support', 'conv-1'), ('other', 'conv-2');
INSERT INTO handover (endpoint, conversation_id, queue, status, requested_at, queued_at, active_at, ended_at,
                      events_since, transfers, agents)
    VALUES ('support', 1, '101', 'completed', now() - interval '70 s', now() - interval '69 s',
            now() - interval '60 s', now() - interval '20 s', now(), 1, '["a", "b"]');
INSERT INTO handover (endpoint, conversation_id, queue, status, requested_at, events_since)
    VALUES ('support', 1, '102', 'requested', now() - interval '10 s', now());
INSERT INTO handover (endpoint, conversation_id, queue, status, reason, requested_at, ended_at, events_since)
    VALUES ('other', 2, '103', 'failed', 'refused with 400', now() - interval '3 d',
            now() - interval '3 d', now());
INSERT INTO handover_transition (handover_id, at, cause, status, agent_id)
    VALUES (1, now() - interval '60 s', 'joined', 'active', 'a');
"""

FILE = """
endpoints:
  - name: support
    token: a-token-of-24-characters
    flow: flows.bots.echo:echo
    eightxeight: {api_key: eght_0123456789}
    handover: {queue: "101"}
  - name: small
    token: b-token-of-24-characters
    flow: flows.bots.echo:echo
    eightxeight: {api_key: eght_0123456789}
"""


@pytest.fixture
async def run(database_url: str, tmp_path: Path) -> Run:
    """Runs a command on a database with three handovers."""
    connection = await connect(database_url, application="test")
    await connection.execute(ROWS)
    await connection.close()
    (tmp_path / "endpoints.yaml").write_text(FILE)
    endpoints = str(tmp_path / "endpoints.yaml")
    return runner(tmp_path, PARLEY_DATABASE_URL=database_url, PARLEY_ENDPOINTS=endpoints)


async def test_handovers_are_listed_with_what_analysts_ask_for(run: Run) -> None:
    listed = run("handovers", "list")
    assert listed.returncode == 0, listed.stderr
    assert "3 handovers" in listed.stdout and "refused with 400" in listed.stdout
    done = json.loads(run("handovers", "list", "--json").stdout)[1]
    assert (done["queue"], done["status"], done["transfers"], done["agents"]) == (
        "101",
        "completed",
        1,
        ["a", "b"],
    )
    assert (done["waiting_seconds"], done["handling_seconds"]) == (10.0, 40.0)


async def test_only_open_ones_of_an_endpoint_since_a_time(run: Run) -> None:
    [waiting] = json.loads(run("handovers", "list", "--open", "--json").stdout)
    assert (
        waiting["queue"] == "102" and waiting["waiting_seconds"] >= 10 and waiting["handling_seconds"] is None
    )
    [failed] = json.loads(run("handovers", "list", "--endpoint", "other", "--json").stdout)
    assert failed["reason"] == "refused with 400"
    assert len(json.loads(run("handovers", "list", "--since", "1h", "--json").stdout)) == 2
    assert run("handovers", "list", "--since", "soon").returncode == 2


async def test_a_conversations_story_has_its_handovers_and_each_change(run: Run) -> None:
    shown = run("conversations", "show", "conv-1").stdout
    assert "to queue 101 completed, transfers: 1" in shown
    assert "joined → active, agent a" in shown


async def test_the_red_button_is_kept_and_shown(run: Run) -> None:
    assert run("endpoints", "mode", "support", "to_queue").stdout == "support: to_queue (was live)\n"
    assert run("endpoints", "mode", "support", "silent").stdout == "support: silent (was to_queue)\n"
    modes = {row["endpoint"]: row["mode"] for row in json.loads(run("endpoints", "--json").stdout)}
    assert modes == {"support": "silent", "small": "live"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody", "live"), "has no endpoint nobody"),
        (("support", "off"), "must be one of live, to_queue, silent"),
        (("small", "to_queue"), "has no handover.queue"),
    ],
)
async def test_what_cannot_be_set_is_refused_in_a_line(
    run: Run, arguments: tuple[str, str], words: str
) -> None:
    done = run("endpoints", "mode", *arguments)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
