"""What users give away, looked for in the database, in every log and in Prefect's own database.

Under each combination of the settings that say what may be seen, during the session and after it, each
endpoint with secrets of its own.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from app.database.tables import metadata
from app.sealing import new_key
from tests.acceptance.running import Parley, eventually
from tests.acceptance.stage import Stage, Talk

pytestmark = [pytest.mark.timeout(280), pytest.mark.slow]

#: Bytes as PostgreSQL shows them.
HEX = re.compile(r"\\x((?:[0-9a-f]{2})+)")
#: What a replay needs, and nothing else, may hold what was said while the session is open.
REPLAYED = {"event", "journal", "delivery", "session", "dialog"}

BOT = '''
import logging
from app.bot import Chat, StepFailed

log = logging.getLogger("careless bot")


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
        if got.text.startswith("zanzibar-failure"):
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

SWITCHES = ("mask_ip_address", "mask_sensitive_analytics", "mask_sensitive_logging", "collect_conversations")


def combinations() -> dict[str, dict[str, Any]]:
    """Every combination, by the endpoint's name; and private stretches."""
    found: dict[str, dict[str, Any]] = {}
    for values in product((False, True), repeat=len(SWITCHES) + 1):
        name = "s" + "".join(str(int(value)) for value in values)
        settings = dict(zip((*SWITCHES, "encrypt"), values, strict=True))
        found[name] = {"flow": "secret_bots:careless", **settings}
    for encrypt in (False, True):
        settings = {"mask_ip_address": True, "mask_sensitive_logging": True, "encrypt": encrypt}
        found[f"private{int(encrypt)}"] = {"flow": "secret_bots:discreet", **settings}
    found["forgotten"] = {"flow": "secret_bots:careless", "collect_conversations": False}
    found["forgotten"] |= {"contact_profiles": False, "mask_sensitive_logging": True}
    return found


SETTINGS = combinations()
NUMBERS = {name: f"{100 + place}" for place, name in enumerate(SETTINGS)}
SECRET = re.compile(rf"zanzibar-(text|data|failure|name)-({'|'.join(SETTINGS)})|203\.0\.113\.(\d{{3}})")


def secret(kind: str, endpoint: str) -> str:
    """A user's text, data, failure, name or address."""
    return f"203.0.113.{NUMBERS[endpoint]}" if kind == "address" else f"zanzibar-{kind}-{endpoint}"


def secrets_in(text: str) -> set[tuple[str, str]]:
    """The secrets in a text: what they are, and of which endpoint's user."""
    names = {number: name for name, number in NUMBERS.items()}
    return {
        ("address", names[number]) if number else (kind, name)
        for kind, name, number in SECRET.findall(text)
        if not number or number in names
    }


def goes(name: str) -> bool:
    """Whether what an endpoint's replays need goes with the session."""
    settings = SETTINGS[name]
    return bool(settings.get("mask_sensitive_analytics")) or not settings.get("collect_conversations", True)


def may_hold(name: str, kind: str, *, open: bool) -> set[str]:
    """The tables that an endpoint's settings let hold such a secret, while its session is open or not."""
    settings = SETTINGS[name]
    private = settings["flow"].endswith("discreet")
    masked = goes(name)
    if kind == "address" and settings.get("mask_ip_address"):
        return set()
    tables = set()
    if (open or not (masked or private)) and not settings.get("encrypt"):
        tables |= REPLAYED
    if kind in ("text", "data", "failure") and not (masked or private):
        tables.add("message")
    if kind == "name" and not settings.get("encrypt") and (open or settings.get("contact_profiles", True)):
        tables.add("contact")
    return tables


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
            **settings,
        }
        for name, settings in SETTINGS.items()
    ]
    file = folder / "endpoints.yaml"
    file.write_text(json.dumps({"endpoints": endpoints}))
    return file


def test_secrets_are_only_where_each_combination_of_settings_lets_them_be(
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
            give_away(talk, "hello" if name.startswith("private") else secret("text", name))
        for name, talk in talks.items():
            if name.startswith("private"):
                talk.texts(1)
                talk.say("go on")
                talk.say(secret("text", name))
            talk.texts(2 if name.startswith("private") else 1)
            choose(talk)
        for name, talk in talks.items():
            talk.texts(3 if name.startswith("private") else 2)
            talk.quiet()
        judge(holding(stage), open=True)
        for name in ("s11110", "s00010"):
            eventually(partial(in_a_run, stage, talks[name]), within=60, what="a turn in a run")
        careless = {name: talk for name, talk in talks.items() if not name.startswith("private")}
        for name, talk in careless.items():
            talk.say(secret("failure", name))
        for talk in careless.values():
            talk.texts(3)
        for talk in talks.values():
            talk.quiet()
            talk.sends(update("idle"))
        eventually(lambda: not open_sessions(stage), within=60, what="the end of all sessions")
        judge(holding(stage), open=False)
        running = "SELECT count(*) FROM session_run WHERE ended_at IS NULL"
        eventually(lambda: stage.value(running) == 0, within=60)
    finally:
        stage.close()
    told = "look up " + secret("text", "s00010")
    eventually(lambda: {"look up ***", told} <= task_names(parley), within=60, what="the steps in Prefect")
    judge_files(parley)
    judge_logs(parley)


def judge(held: dict[str, set[tuple[str, str]]], *, open: bool) -> None:
    """Compare what tables hold with what they may; what may be there is there, or the test proves nothing."""
    for name in SETTINGS:
        for kind in ("text", "data", "failure", "name", "address"):
            allowed = may_hold(name, kind, open=open)
            found = {table for table, secrets in held.items() if (kind, name) in secrets}
            assert found <= allowed, (name, SETTINGS[name], kind, found - allowed)
            if kind == "failure" and open:  # it comes later
                continue
            # What came before a session began is not kept at all where texts go with their session.
            if "event" in allowed and (kind in ("text", "data") or not goes(name)):
                assert "event" in found, (name, kind)
            if allowed & {"message", "contact"} and not (kind == "failure" and name.startswith("private")):
                assert found >= allowed & {"message", "contact"}, (name, kind, found)


def judge_files(parley: Parley) -> None:
    """Prefect, and whatever else is written beside PostgreSQL: names of steps that bots chose, at most."""
    for path in files(parley.home):
        for kind, name in secrets_in(path.read_bytes().decode("latin-1")):
            named = kind == "text" and not SETTINGS[name].get("mask_sensitive_logging")
            assert named and "prefect" in path.parts, (path, kind, name)


def judge_logs(parley: Parley) -> None:
    """Of what was said only the bots' own lines tell, and those only where nothing is masked."""
    assert parley.output and not secrets_in(parley.output)
    lines = [json.loads(line) for line in parley.errors.splitlines() if line.startswith("{")]
    others = [line for line in parley.errors.splitlines() if not line.startswith("{")]
    assert not secrets_in("\n".join(others))
    told = set()
    for line in lines:
        for kind, name in secrets_in(json.dumps(line)):
            assert line["logger"] == "careless bot", (line["event"], kind, name)
            assert not SETTINGS[name].get("mask_sensitive_logging"), (line["event"], kind, name)
            told.add(name)
    open_ones = {name for name, settings in SETTINGS.items() if not settings.get("mask_sensitive_logging")}
    assert told == open_ones, "what isn't masked is there"
    masked = [line for line in lines if line["event"] == "bot got ***"]
    assert len(masked) >= len(SETTINGS) - len(open_ones) - 2, "what is masked is there too, as asterisks"


def task_names(parley: Parley) -> set[str]:
    """Names of the task runs that Prefect knows."""
    with sqlite3.connect(f"file:{parley.home / 'prefect' / 'prefect.db'}?mode=ro", uri=True) as prefect:
        return {row[0] for row in prefect.execute("SELECT name FROM task_run")}


def open_sessions(stage: Stage) -> list[str]:
    """Endpoints with a session that has not ended, or whose data is not erased."""
    query = """SELECT c.endpoint FROM session s JOIN conversation c ON c.id = s.conversation_id
               WHERE s.ended_at IS NULL OR (s.erase AND s.erased_at IS NULL)"""
    return [row[0] for row in stage.rows(query)]


def in_a_run(stage: Stage, talk: Talk) -> bool:
    """Whether a turn with a step has run in a Prefect run; else the user writes once more."""
    running = "SELECT count(*) FROM session_run WHERE conversation_id = $1 AND ended_at IS NULL"
    before = stage.value(running, talk.number)
    said = len(talk.texts())
    talk.say("more")
    talk.texts(said + 1)
    return bool(before)


def update(state: str, **user: Any) -> dict[str, Any]:
    """A CONVERSATION_UPDATE."""
    data = {"state": state, "channel": "WebChat", "user": user or None}
    return {"eventType": "CONVERSATION_UPDATE", "data": data}


def give_away(talk: Talk, first: str) -> None:
    """A user's address and name, and the first text."""
    who = {"userId": f"user-of-{talk.endpoint}", "name": secret("name", talk.endpoint)}
    talk.sends(update("active", **who, ipaddress=secret("address", talk.endpoint)))
    talk.say(first)


def choose(talk: Talk) -> None:
    """The user clicks: data."""
    reply = {"type": "postback", "data": {"title": "choice", "payload": secret("data", talk.endpoint)}}
    talk.sends({"eventType": "ACTIVITY", "data": {"name": "quickReply/action", "value": reply}})


def holding(stage: Stage) -> dict[str, set[tuple[str, str]]]:
    """The secrets in each table, every row of it read as text, bytes too."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name in metadata.tables:
        for row in stage.rows(f"SELECT CAST(t AS text) || CAST(to_jsonb(t) AS text) FROM {name} t"):
            bytes_in_it = " ".join(bytes.fromhex(each).decode("latin-1") for each in HEX.findall(row[0]))
            if secrets := secrets_in(row[0] + bytes_in_it):
                found.setdefault(name, set()).update(secrets)
    return found


def files(home: Path) -> list[Path]:
    """Everything Parley and Prefect write, but PostgreSQL's own files and the sandbox, which plays 8x8."""
    return [
        path
        for path in home.rglob("*")
        if path.is_file() and path.relative_to(home).parts[0] not in ("sandbox", "postgres", "postgresql")
    ]
