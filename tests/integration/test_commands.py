"""The `parley` commands that look at a database, called as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.database.engine import connect
from app.database.schema import head
from tests.forking import FORKS

ENDPOINTS = Path(__file__).parents[2] / "endpoints.yaml"

Run = Callable[..., subprocess.CompletedProcess[str]]

ROWS = """
INSERT INTO conversation (endpoint, external_id, channel, due_at) VALUES ('echo', 'conv-1', 'WebChat', now());
INSERT INTO session (conversation_id) VALUES (1);
INSERT INTO dialog (conversation_id, session_id, bot) VALUES (1, 1, 'flows.bots.echo:echo');
INSERT INTO event (endpoint, event_id, conversation_id, type, body_sha256, at, received_at)
    VALUES ('echo', 'e1', 1, 'MESSAGE', 'x', now(), now() - interval '9 s');
INSERT INTO message (conversation_id, author, text, at)
    VALUES (1, 'user', 'Where is it?', now() - interval '8 s');
INSERT INTO journal (dialog_id, position, kind, at) VALUES (1, 1, 'input', now() - interval '7 s');
INSERT INTO delivery (endpoint, conversation_id, status, reason, expires_at, created_at, ended_at)
    VALUES ('echo', 1, 'dead', 'refused with 400', now(), now() - interval '6 s', now());
INSERT INTO delivery_attempt (delivery_id, deadline_at, status_code, outcome, started_at)
    VALUES (1, now(), 400, 'refused', now() - interval '5 s');
INSERT INTO incident (endpoint, conversation_id, kind, at)
    VALUES ('echo', 1, 'dead_letter', now() - interval '4 s');
INSERT INTO endpoint_state (endpoint, tenant, verified_at) VALUES ('echo', 'pinned-tenant', now());
"""


@pytest.fixture
async def run(database_url: str, tmp_path: Path) -> Run:
    """Runs a command on a database with one conversation."""
    connection = await connect(database_url, application="test")
    await connection.execute(ROWS)
    await connection.close()
    return runner(tmp_path, PARLEY_DATABASE_URL=database_url)


def runner(folder: Path, **variables: str) -> Run:
    """What runs a command with these variables, in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    environment |= {"PARLEY_HOME": str(folder / "home"), "PARLEY_ENDPOINTS": str(ENDPOINTS), **variables}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return FORKS.run(arguments, env=environment, cwd=folder)

    return run


async def test_conversations_are_listed_and_shown_as_one_story(run: Run) -> None:
    listed = run("conversations", "list")
    assert listed.returncode == 0, listed.stderr
    assert "conv-1" in listed.stdout and "WebChat" in listed.stdout

    (row,) = json.loads(run("conversations", "list", "--json").stdout)
    assert (row["external_id"], row["dead"], row["dialog"]) == ("conv-1", 1, "running")
    assert json.loads(run("conversations", "list", "--json", "--endpoint", "orders").stdout) == []

    shown = run("conversations", "show", "conv-1")
    assert shown.returncode == 0, shown.stderr
    story = [line for line in shown.stdout.splitlines() if line.startswith("20")]
    kinds = [line.split()[2] for line in story]
    assert kinds == ["event", "message", "journal", "delivery", "attempt", "incident", "session", "dialog"]
    assert "user: Where is it?" in shown.stdout

    (found,) = json.loads(run("conversations", "show", "1", "--json").stdout)
    assert found["conversation"]["external_id"] == "conv-1"
    assert len(found["timeline"]) == len(story)


@pytest.mark.parametrize(
    "command",
    [
        "replay",
        "conversations list",
        "deliveries list",
        "deliveries redrive --since 9d",
        "handovers list",
        "contacts find 1",
        "export messages",
    ],
)
async def test_an_endpoint_that_nobody_knows_is_told_with_those_that_are(
    run: Run, database_url: str, command: str
) -> None:
    connection = await connect(database_url, application="test")
    await connection.execute("INSERT INTO conversation (endpoint, external_id) VALUES ('retired', 'x')")
    await connection.close()
    done = run(*command.split(), "--endpoint", "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "parley: there is no endpoint nosuch; known are echo, orders, retired\n"
    assert run(*command.split(), "--endpoint", "retired").returncode == 0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("deliveries redrive 99999999999999999999", "9223372036854775807"),
        ("token revoke 99999999999999999999", "9223372036854775807"),
        ("deliveries redrive --since 999999999999d", "--since is further back than any date"),
        ("deliveries redrive --since 99999999999999999999999d", "--since must be such as"),
        ("handovers list --since 0001-01-01T00:00+14:00", "--since is further back than any date"),
        ("conversations show 99999999999999999999", "there is no conversation"),
        ("contacts export 99999999999999999999", "there is no such contact"),
    ],
)
async def test_a_number_that_no_database_holds_is_a_message_not_a_traceback(
    run: Run, command: str, told: str
) -> None:
    done = run(*command.split())
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_unknown_conversation_is_a_message_not_a_traceback(run: Run) -> None:
    done = run("conversations", "show", "nowhere")
    assert done.returncode == 2
    assert done.stderr == "parley: there is no conversation nowhere\n"


async def test_dead_deliveries_are_listed_and_redriven(run: Run) -> None:
    assert "refused with 400" in run("deliveries", "list").stdout
    assert run("deliveries", "redrive").returncode == 2
    assert run("deliveries", "redrive", "1").stdout == "1 redriven: 1\n"
    assert json.loads(run("deliveries", "list", "--json").stdout) == []
    (waiting,) = json.loads(run("deliveries", "list", "--status", "waiting", "--json").stdout)
    assert waiting["id"] == 1
    assert run("deliveries", "list", "--status", "lost").returncode == 2


async def test_endpoints_are_printed_with_what_8x8_did_last(
    database_url: str, run: Run, tmp_path: Path
) -> None:
    public = runner(tmp_path, PARLEY_DATABASE_URL=database_url, PARLEY_PUBLIC_URL="https://bots.example.com/")
    echo, orders = json.loads(public("endpoints", "--json").stdout)
    assert echo["url"] == "https://bots.example.com/8x8/sandbox-echo-token"
    assert echo["bot"] == "flows.bots.echo:echo"
    assert echo["tenant"] == "sandbox-echo"
    assert echo["last_verify"] and echo["last_event"]
    assert orders["last_verify"] is None and orders["last_event"] is None
    assert "https://bots.example.com/8x8/sandbox-orders-token" in public("endpoints").stdout


async def test_endpoints_are_printed_without_a_database_too(tmp_path: Path) -> None:
    done = runner(tmp_path)("endpoints")
    assert done.returncode == 0
    assert "http://127.0.0.1:8080/8x8/sandbox-echo-token" in done.stdout
    assert "without verifies and events: No database" in done.stdout


@pytest.mark.parametrize("command", ["serve", "work"])
async def test_an_old_schema_is_refused(command: str, empty_database_url: str, tmp_path: Path) -> None:
    done = runner(tmp_path, PARLEY_DATABASE_URL=empty_database_url)(command)
    assert done.returncode == 2
    assert "run `parley db upgrade`" in done.stderr
    assert "Traceback" not in done.stderr


async def test_db_upgrade_brings_any_database_to_this_version(
    empty_database_url: str, tmp_path: Path
) -> None:
    given = runner(tmp_path, PARLEY_DATABASE_URL=empty_database_url)("db", "upgrade")
    assert given.stdout == f"The tables have version {head()}.\n", given.stderr
    embedded = runner(tmp_path)("db", "upgrade")
    assert embedded.stdout == f"The tables have version {head()}.\n", embedded.stderr
    listed = runner(tmp_path)("conversations", "list", "--json")  # starts the embedded one for a moment
    assert json.loads(listed.stdout) == []


async def test_without_any_database_it_says_so(tmp_path: Path) -> None:
    for command in (("serve",), ("work",), ("conversations", "list")):
        done = runner(tmp_path)(*command)
        assert done.returncode == 2
        assert "No database" in done.stderr
        assert "Traceback" not in done.stderr


async def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    done = runner(tmp_path, PARLEY_PORT="eighty", PARLEY_LEASE="0")("check")
    assert done.returncode == 2
    assert "PARLEY_PORT:" in done.stderr and "PARLEY_LEASE:" in done.stderr
    assert "eighty" not in done.stderr


async def test_check_tells_every_mistake_of_file_and_bots(tmp_path: Path) -> None:
    assert runner(tmp_path)("check").returncode == 0
    (tmp_path / "badbot.py").write_text(
        "import asyncio\nasync def bot(chat):\n    await asyncio.sleep(1)\nasync def other(): ...\n"
    )
    (tmp_path / "endpoints.yaml").write_text(
        """
endpoints:
  - {name: a, token: a-token-of-24-characters, flow: "badbot:bot", eightxeight: {api_key: a-long-key}}
  - {name: b, token: b-token-of-24-characters, flow: "badbot:other", eightxeight: {api_key: a-long-key}}
"""
    )
    done = runner(tmp_path, PARLEY_ENDPOINTS=str(tmp_path / "endpoints.yaml"))("check")
    assert done.returncode == 1
    assert "must take one argument, the chat" in done.stderr
    assert "badbot.py:3" in done.stderr
    assert "Traceback" not in done.stderr


async def test_replay_of_an_empty_database_finds_nothing_wrong(database_url: str, tmp_path: Path) -> None:
    done = runner(tmp_path, PARLEY_DATABASE_URL=database_url)("replay")
    assert (done.returncode, done.stdout) == (0, "0 dialogs replayed, 0 fit\n"), done.stderr
