"""What a user gives away, looked for in the database, in every log and in Prefect's own database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.database.tables import metadata
from app.sealing import new_key
from tests.acceptance.running import Parley, eventually
from tests.acceptance.stage import Stage, Talk

TEXT, DATA, FAILURE, ADDRESS = "zanzibar-text", "zanzibar-data", "zanzibar-failure", "203.0.113.77"
SECRETS = (TEXT, DATA, FAILURE, ADDRESS)
REPLAYED = {"event", "journal", "delivery", "session", "dialog"}

BOT = '''
import logging
from app.bot import Chat, StepFailed

log = logging.getLogger("bot")


def looks(text: str) -> dict[str, str]:
    log.warning("step with %s", text)
    return {"found": text}


def fails(text: str) -> None:
    raise ValueError(text)


async def careless(chat: Chat) -> None:
    """Repeats, logs and keeps what it gets, in step names and errors too."""
    text = chat.message.text
    log.warning("bot got %s", text)
    found = await chat.step(looks, text, name=f"look up {text}")
    try:
        await chat.step(fails, text, retries=0)
    except StepFailed:
        await chat.say(f"You said {text}.")
    chat.session["found"] = found
    while True:
        got = await chat.receive()
        log.warning("then %s %s", got.text, dict(got.data))
        if got.text == "zanzibar-failure":
            raise ValueError(got.text)
        await chat.step(looks, text, name=f"look up {text}")
        await chat.say(f"And {dict(got.data)}.")


async def discreet(chat: Chat) -> None:
    """All of it in a private stretch."""
    async with chat.private():
        await chat.say("In private?")
        await chat.receive()
        while True:
            got = await chat.receive()
            await chat.say(f"You said {got.text} {dict(got.data)}.")
'''

SETTINGS: dict[str, dict[str, Any]] = {
    "masked": {"flow": "secret_bots:careless", "mask_sensitive_analytics": True},
    "sealed": {"flow": "secret_bots:careless", "mask_sensitive_analytics": True, "encrypt": True},
    "unkept": {"flow": "secret_bots:careless", "collect_conversations": False, "contact_profiles": False},
    "private": {"flow": "secret_bots:discreet", "encrypt": True},
}


def write(folder: Path, sandbox_port: str) -> Path:
    """endpoints.yaml with the bots beside it."""
    (folder / "secret_bots.py").write_text(BOT)
    endpoints = [
        {
            "name": name,
            "token": f"sandbox-{name}-token",
            "eightxeight": {
                "base_url": f"http://127.0.0.1:{sandbox_port}",
                "api_key": f"sandbox-{name}-key",
                "tenant": f"sandbox-{name}",
            },
            "mask_ip_address": True,
            "mask_sensitive_logging": True,
            **settings,
        }
        for name, settings in SETTINGS.items()
    ]
    file = folder / "endpoints.yaml"
    file.write_text(json.dumps({"endpoints": endpoints}))
    return file


def test_secrets_are_in_no_log_not_in_prefect_and_leave_the_database_with_their_session(
    own_parley: Callable[..., Parley],
) -> None:
    parley = own_parley(PARLEY_LINGER="4", PARLEY_ENCRYPTION_KEY=new_key())
    parley.variables["PARLEY_TEST_SIGNALS"] = str(parley.folder)
    parley.variables["PARLEY_ENDPOINTS"] = str(write(parley.folder, parley.variables["PARLEY_SANDBOX_PORT"]))
    parley.start()
    parley.wait_until_ready()
    stage = Stage(parley)
    try:
        talks = {name: stage.talk(name) for name in SETTINGS}
        for name, talk in talks.items():
            give_away(talk, first="hello" if name == "private" else TEXT)
        for talk in talks.values():
            talk.texts(2)
            talk.quiet()
        held = holding(stage)
        assert set(held) <= REPLAYED
        sealed = {talks["sealed"].number, talks["private"].number}
        for table in ("event", "delivery", "session", "journal"):
            assert held[table] and not held[table] & sealed, f"{table}: clear, but not where it is encrypted"
        eventually(lambda: in_a_run(stage, talks["masked"]), within=60, what="a turn in a Prefect run")
        for name in ("masked", "unkept", "sealed"):
            talks[name].say(FAILURE)
        for name in ("masked", "unkept", "sealed"):
            talks[name].texts(3)
        for talk in talks.values():
            talk.sends(update("idle"))
            talk.quiet()
        eventually(
            lambda: not open_sessions(stage), within=60, what="the end of all sessions, and their data"
        )
        assert holding(stage) == {}
        eventually(
            lambda: stage.value("SELECT count(*) FROM session_run WHERE ended_at IS NULL") == 0, within=30
        )
    finally:
        stage.close()
    logged = parley.errors.count('"event": "bot got ***"')
    assert logged >= 3, "what the bots logged is there (at every replay), masked"
    eventually(lambda: "look up ***" in task_names(parley), within=30, what="the steps in Prefect")
    found = {str(path): secrets for path in files(parley.home) if (secrets := secrets_in(path))}
    assert found == {}
    assert not [secret for secret in SECRETS if secret in parley.errors or secret in parley.output]


def task_names(parley: Parley) -> list[str]:
    """Names of the task runs that Prefect knows."""
    with sqlite3.connect(f"file:{parley.home / 'prefect' / 'prefect.db'}?mode=ro", uri=True) as prefect:
        return [row[0] for row in prefect.execute("SELECT name FROM task_run")]


def open_sessions(stage: Stage) -> list[str]:
    """Endpoints with a session that has not ended, or whose data is not erased."""
    query = """SELECT c.endpoint FROM session s JOIN conversation c ON c.id = s.conversation_id
               WHERE s.ended_at IS NULL OR (s.erase AND s.erased_at IS NULL)"""
    return [row[0] for row in stage.rows(query)]


def in_a_run(stage: Stage, talk: Talk) -> bool:
    """Whether a turn with a step has run in a Prefect run; else the user writes once more."""
    before = stage.value("SELECT count(*) FROM session_run WHERE conversation_id = $1", talk.number)
    said = len(talk.texts())
    talk.say("more")
    talk.texts(said + 1)
    return bool(before)


def update(state: str, **user: Any) -> dict[str, Any]:
    """A CONVERSATION_UPDATE."""
    data = {"state": state, "channel": "WebChat", "user": user or None}
    return {"eventType": "CONVERSATION_UPDATE", "data": data}


def give_away(talk: Talk, *, first: str) -> None:
    """A user's address, text and data."""
    talk.sends(update("active", userId=f"user-of-{talk.endpoint}", ipaddress=ADDRESS))
    talk.say(first)
    talk.texts(1)
    if first != TEXT:
        talk.say("go on")
        talk.say(TEXT)
        talk.texts(2)
    reply = {"type": "postback", "data": {"title": "choice", "payload": DATA}}
    talk.sends({"eventType": "ACTIVITY", "data": {"name": "quickReply/action", "value": reply}})


def holding(stage: Stage) -> dict[str, set[int]]:
    """Tables in which any row's text has a secret, and the conversations of those rows (0: not said)."""
    found: dict[str, set[int]] = {}
    for name in metadata.tables:
        number = "t.conversation_id" if "conversation_id" in metadata.tables[name].c else "0"
        if name == "journal":
            number = "(SELECT d.conversation_id FROM dialog d WHERE d.id = t.dialog_id)"
        pattern = "|".join((*SECRETS, *(secret.encode().hex() for secret in SECRETS)))
        query = (
            f"SELECT COALESCE({number}, 0) FROM {name} t "
            "WHERE CAST(t AS text) || CAST(to_jsonb(t) AS text) ~ $1"
        )
        for row in stage.rows(query, pattern):
            found.setdefault(name, set()).add(row[0])
    return found


def files(home: Path) -> list[Path]:
    """Everything Parley and Prefect write, but PostgreSQL's own files and the sandbox, which plays 8x8."""
    return [
        path
        for path in home.rglob("*")
        if path.is_file() and path.relative_to(home).parts[0] not in ("sandbox", "postgres", "postgresql")
    ]


def secrets_in(path: Path) -> list[str]:
    """The secrets in a file's bytes."""
    content = path.read_bytes()
    return [secret for secret in SECRETS if secret.encode() in content]
