"""`parley conversations export` over a real database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import connect
from app.export.stored import read_story
from app.sealing import VARIABLE, new_key, sealer
from tests.forking import FORKS

ROWS = """
INSERT INTO contact (endpoint, identity, profile)
    VALUES ('echo', 'conversation:conv-1', '{"name": "Ada Lovelace"}');
INSERT INTO conversation (endpoint, external_id, channel, contact_id) VALUES
    ('echo', 'conv-1', 'WhatsApp', 1), ('echo', 'shared', 'WebChat', 1), ('orders', 'shared', 'WebChat', 1);
INSERT INTO event (endpoint, event_id, conversation_id, type, body_sha256, payload, at, received_at) VALUES
    ('echo', 'e0', 1, 'CONVERSATION_UPDATE', 'x',
     '{"data": {"user": {"name": "Ada Lovelace", "language": "en"}}}', now(), now() - interval '9 s'),
    ('echo', 'e1', 1, 'MESSAGE', 'x', '{"data": {}}', now() + interval '1 h', now() - interval '8 s'),
    ('echo', 'e2', 1, 'MEMBERS_CHANGED', 'x',
     '{"data": {"memberType": "agent", "change": "joined", "id": "agent-7"}}', now(), now() - interval '5 s'),
    ('echo', 'e3', 1, 'MESSAGE', 'x', NULL, now(), now() - interval '4 s');
INSERT INTO delivery (endpoint, conversation_id, kind, status, expires_at, created_at, sent_at, ended_at,
                      content)
    VALUES ('echo', 1, 'assignment', 'sent', now(), now() - interval '6 s', now(), now(),
     '{"assignment": {"type": "queue", "id": "101"}}');
INSERT INTO message (conversation_id, author, text, at, event_id) VALUES
    (1, 'user', 'I am Ada', now() + interval '1 h', 2), (1, 'bot', 'Hello Ada', now() - interval '7 s', 2),
    (1, 'agent', 'Good day', now(), 4);
"""


@pytest.fixture
async def rows(database_url: str) -> None:
    connection = await connect(database_url, application="test")
    await connection.execute(ROWS)
    await connection.close()


async def test_the_story_is_read_in_the_order_of_arrival(rows: None, engine: AsyncEngine) -> None:
    stored = await read_story(engine, 1)
    assert (stored.endpoint, stored.channel) == ("echo", "WhatsApp")
    assert stored.user == {"name": "Ada Lovelace", "language": "en"}
    assert [(item.what, item.text) for item in stored.story] == [
        ("message", "I am Ada"),
        ("message", "Hello Ada"),
        ("assignment", None),
        ("MEMBERS_CHANGED", None),
        ("message", "Good day"),
    ]
    with pytest.raises(LookupError):
        await read_story(engine, 99)


async def test_what_is_stored_encrypted_is_opened(
    rows: None, engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, new_key())
    joined = {"data": {"memberType": "agent", "change": "joined", "id": "agent-9"}}
    connection = await connect(database_url, application="test")
    statement = "UPDATE event SET payload = $1 WHERE event_id = 'e2'"
    await connection.execute(statement, json.dumps(sealer().seal(joined)))
    await connection.execute(
        "UPDATE delivery SET content = $1",
        json.dumps(sealer().seal({"assignment": {"type": "queue", "id": "102"}})),
    )
    await connection.close()
    story = (await read_story(engine, 1)).story
    assert [item.data for item in story if item.what == "MEMBERS_CHANGED"] == [joined["data"]]
    assert [item.content for item in story if item.what == "assignment"] == [
        {"assignment": {"type": "queue", "id": "102"}}
    ]


async def export(database_url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    environment |= {"PARLEY_HOME": str(folder / "home"), "PARLEY_DATABASE_URL": database_url}
    command = ["conversations", "export", *arguments]
    return await asyncio.to_thread(FORKS.run, command, env=environment, cwd=folder)


async def test_the_command_prints_or_writes_a_masked_scenario(
    rows: None, database_url: str, tmp_path: Path
) -> None:
    done = await export(database_url, tmp_path, "conv-1", "--as-scenario")
    assert done.returncode == 0, done.stderr
    scenario = yaml.safe_load(done.stdout)
    assert scenario["user"] == {"name": "Alex Example", "language": "en"}
    assert scenario["steps"][:3] == [
        {"user": "I am Alex"},
        {"bot": "Hello Alex"},
        {"handover": {"queue": "101", "properties": {}}},
    ]
    done = await export(database_url, tmp_path, "1", "--as-scenario", "--unmasked", "-o", "out.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Hello Ada" in (tmp_path / "out.yaml").read_text()


async def test_a_name_that_is_no_conversations_or_several_is_said_so(
    rows: None, database_url: str, tmp_path: Path
) -> None:
    done = await export(database_url, tmp_path, "nothing")
    assert (done.returncode, done.stderr) == (2, "parley: there is no conversation nothing\n")
    done = await export(database_url, tmp_path, "shared")
    assert done.returncode == 2
    assert "several conversations' (of echo, orders)" in done.stderr
