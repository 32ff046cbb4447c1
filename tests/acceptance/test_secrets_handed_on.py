"""What users give away and others hand on: agents, services, 8x8, a later dialog. Looked for everywhere.

Where `test_secrets` tries every combination of settings with a plain talk, this tries a few with a long one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.analytics.rollup import roll_up
from app.database.engine import WORKER, create_engine
from app.database.tables import metadata
from app.sandbox import calls
from app.sandbox.faults import RestError
from app.sealing import new_key
from tests.acceptance.running import Parley, eventually
from tests.acceptance.stage import Stage, Talk
from tests.acceptance.test_human_agents import becomes
from tests.acceptance.test_secrets import HEX, files, update

pytestmark = [pytest.mark.timeout(280), pytest.mark.slow]

BEARER = "a-bearer-token-of-a-service"
#: What replays need while the session is open: of a handover what the agent is shown, of files the names.
REPLAYED = {"event", "journal", "delivery", "session", "dialog", "handover", "file"}
KINDS = ("text", "inject", "notify", "file", "waiting", "agent", "user")
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"mask_sensitive_analytics": True, "mask_sensitive_logging": True},
    "sealed": {"mask_sensitive_analytics": True, "mask_sensitive_logging": True, "encrypt": True},
    "unseen": {"collect_conversations": False, "collect_analytics": False, "mask_sensitive_logging": True},
    "private": {"flow": "handing_bots:discreet", "mask_sensitive_logging": True},
}
SECRET = re.compile(rf"zanzibar-(?:{'|'.join(KINDS)})-(?:{'|'.join(SETTINGS)})")

BOT = '''
import logging
from app.bot import Chat

log = logging.getLogger("careless bot")


async def careless(chat: Chat) -> None:
    """Repeats, logs and hands on what it gets."""
    await story(chat, chat.message.text)


async def discreet(chat: Chat) -> None:
    """All of it in a private stretch."""
    async with chat.private():
        await chat.say("In private?")
        await story(chat, (await chat.receive()).text)


async def story(chat: Chat, text: str) -> None:
    if "kept" in chat.session:
        await chat.say(f"Once more: {chat.session['kept']}.")
        return
    chat.session["kept"] = text
    chat.intent(f"wants {text}")
    await chat.say(f"You said {text}.")
    while (got := await chat.receive()).text != "agent":
        log.warning("bot got %s", got.text)
        await chat.say(f"And {got.text} {[file.name for file in got.attachments]}.")
    outcome = await chat.handover(message=f"About {text} …", summary=text, properties={"order": text})
    for message in outcome.messages:
        chat.goal(message.text)
    await chat.say(" | ".join(message.text for message in outcome.messages))
    await chat.receive()


def heard(request) -> dict[str, object]:
    log.warning("transformer got %s", request.payload)
    return {"text": request.payload["text"]}
'''


def secret(kind: str, endpoint: str) -> str:
    return f"zanzibar-{kind}-{endpoint}"


def write(folder: Path, sandbox_port: str) -> Path:
    """endpoints.yaml with the bots beside it."""
    (folder / "handing_bots.py").write_text(BOT)
    common = {
        "flow": "handing_bots:careless",
        "callers": {"tokens": ["sha256:" + hashlib.sha256(BEARER.encode()).hexdigest()]},
        "transformers": {"inject": "handing_bots:heard", "notify": "handing_bots:heard"},
        "handover": {"queue": "101", "return_assignment": {"id": "2001"}, "repeat_message": True},
    }
    endpoints = [
        {
            "name": name,
            "token": f"sandbox-{name}-token",
            "eightxeight": {
                "base_url": f"http://127.0.0.1:{sandbox_port}",
                "api_key": f"sandbox-{name}-key",
                "tenant": f"sandbox-{name}",
            },
            **common,
            **settings,
        }
        for name, settings in SETTINGS.items()
    ]
    file = folder / "endpoints.yaml"
    file.write_text(json.dumps({"endpoints": endpoints}))
    return file


def test_what_others_hand_on_is_only_where_the_settings_let_it_be(own_parley: Callable[..., Parley]) -> None:
    parley = own_parley(PARLEY_LINGER="4", PARLEY_ENCRYPTION_KEY=new_key())
    parley.variables["PARLEY_TEST_SIGNALS"] = str(parley.folder)
    parley.variables["PARLEY_ENDPOINTS"] = str(write(parley.folder, parley.variables["PARLEY_SANDBOX_PORT"]))
    parley.start()
    parley.wait_until_ready()
    stage = Stage(parley)
    try:
        talks = {name: stage.talk(name) for name in SETTINGS}
        with ThreadPoolExecutor(len(talks)) as threads:
            list(threads.map(gives_everything_away, talks.values()))
        asyncio.run(count(parley))
        judge(holding(stage), open=True)
        assert stage.value("SELECT count(*) FROM mark WHERE endpoint IN ('unseen', 'private')") == 0
        assert stage.value("SELECT count(*) FROM delivery WHERE status = 'dead'") == len(SETTINGS)
        for talk in talks.values():
            talk.sends(update("idle"))
        left = "SELECT count(*) FROM session WHERE ended_at IS NULL OR (erase AND erased_at IS NULL)"
        eventually(lambda: stage.value(left) == 0, within=60, what="the end of all sessions")
        asyncio.run(count(parley))
        judge(holding(stage), open=False)
        sealed = "SELECT count(*) FROM handover WHERE endpoint = 'sealed' AND settings ? 'sealed'"
        assert stage.value(sealed) == 0, "what is erased is not even there sealed"
    finally:
        stage.close()
    for path in files(parley.home):
        if path.relative_to(parley.home).parts[0] == "prefect":
            assert not SECRET.search(path.read_bytes().decode("latin-1")), path
    lines = [json.loads(line) for line in parley.errors.splitlines() if line.startswith("{")]
    told = {found for line in lines for found in SECRET.findall(json.dumps(line))}
    assert {found.split("-")[-1] for found in told} == {"plain"}, "only where nothing is masked"
    assert all(line["logger"] == "careless bot" for line in lines if SECRET.search(json.dumps(line)))
    for event in ("bot got ***", "transformer got {'sessionId': '***', 'text': '***'}"):
        assert sum(line["event"] == event for line in lines) >= len(SETTINGS) - 1


def gives_everything_away(talk: Talk) -> None:
    """8x8 refuses the bot's first words, services call, an agent helps, a second dialog begins."""
    name, sandbox = talk.endpoint, talk.stage.sandbox
    said = 0
    if name == "private":
        talk.say("hello")
        talk.texts(said := 1)
    sandbox(calls.add_fault(RestError(conversation=talk.id, operation="send_message", status=400, count=1)))
    talk.say(secret("text", name))
    dead = "SELECT count(*) FROM delivery WHERE endpoint = $1 AND status = 'dead'"
    eventually(lambda: talk.stage.value(dead, name) == 1, within=60, what="a dead letter")
    for kind in ("inject", "notify"):
        calls_in(talk, kind)
        talk.texts(said := said + 1)
    sandbox(calls.send_file(talk.id, f"{secret('file', name)}.txt", b"something", content_type="text/plain"))
    talk.texts(said := said + 1)
    talk.say("agent")
    becomes(talk, "queued", within=60)
    talk.texts(said := said + 1)
    talk.say(secret("waiting", name))
    talk.texts(said := said + 1)  # "About …" again
    sandbox(calls.accept(talk.id, "agent-1"))
    becomes(talk, "active", within=60)
    sandbox(calls.agent_says(talk.id, f"{secret('agent', name)}, and you said {secret('waiting', name)}"))
    talk.say(secret("user", name))
    talk.quiet()
    sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed", within=60)
    said += 1
    assert secret("user", name) in talk.texts(said)[-1]
    talk.say("thanks")
    talk.quiet()
    if name == "private":
        talk.say("hello again")
        talk.texts(said := said + 1)
    talk.say("again")
    assert talk.texts(said + 1)[-1] == f"Once more: {secret('text', name)}."
    talk.quiet()


def calls_in(talk: Talk, kind: str) -> None:
    """A service calls."""
    body = {"sessionId": talk.id, "text": secret(kind, talk.endpoint)}
    url = f"{talk.stage.parley.url}/{kind}/sandbox-{talk.endpoint}-token"
    answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {BEARER}"}, trust_env=False)
    assert answer.status_code == 202, answer.text


async def count(parley: Parley) -> None:
    """What the schedule does each hour."""
    engine = create_engine(parley.database_url, WORKER, application="test")
    await roll_up(engine, now=datetime.now(UTC))
    await engine.dispose()


def judge(held: dict[str, set[str]], *, open: bool) -> None:
    """What is masked is where replays need it and nowhere else; what isn't is there, as a proof."""
    for name in SETTINGS:
        tables = {
            kind: {table for table, found in held.items() if secret(kind, name) in found} for kind in KINDS
        }
        if name == "plain":
            assert all({"event", "message"} <= found for found in tables.values()), tables
            assert {"mark", "handover", "rollup_part"} <= tables["text"]
            continue
        allowed = REPLAYED if open and name != "sealed" else set()
        assert all(found <= allowed for found in tables.values()), (name, open, tables)
        assert not allowed or all("event" in found for found in tables.values()), (name, tables)


def holding(stage: Stage) -> dict[str, set[str]]:
    """The secrets in each table, every row of it read as text, bytes too."""
    found: dict[str, set[str]] = {}
    for name in metadata.tables:
        for row in stage.rows(f"SELECT CAST(t AS text) || CAST(to_jsonb(t) AS text) FROM {name} t"):
            bytes_in_it = " ".join(bytes.fromhex(each).decode("latin-1") for each in HEX.findall(row[0]))
            found.setdefault(name, set()).update(SECRET.findall(row[0] + bytes_in_it))
    return found
