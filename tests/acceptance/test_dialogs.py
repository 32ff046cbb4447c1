"""What a bot does in its dialogs, and the commands that look at bots before they run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx

from app.sandbox import calls
from tests.acceptance.stage import ENDPOINTS, Stage, Talk, write_endpoints


def test_session_data_counts_across_dialogs(stage: Stage) -> None:
    talk = stage.talk("counts")
    for word in "abcd":
        talk.say(word)
    talk.said("dialog 1, message 1", "dialog 1, message 2", "dialog 2, message 3", "dialog 2, message 4")
    data = "SELECT data FROM session WHERE conversation_id = $1"
    assert json.loads(stage.value(data, talk.number)) == {"dialogs": 2, "messages": 4}


def activates(talk: Talk, assignment: str = "script") -> None:
    """8x8 says that the conversation is active."""
    record = talk.sends(
        {
            "eventType": "CONVERSATION_UPDATE",
            "timestamp": int(time.time() * 1000),
            "data": {
                "state": "active",
                "assignment": {"type": assignment, "id": "2001"},
                "user": {"name": "Ada"},
            },
        }
    )
    assert record.attempts[-1].status == 200
    talk.quiet()


def test_the_bot_speaks_first_where_that_is_on_once_a_session_and_never_over_an_agent(stage: Stage) -> None:
    talk, with_agent = stage.talk("greets"), stage.talk("greets")
    activates(with_agent, "agent")
    activates(talk)
    talk.said("Welcome Ada")
    activates(talk)
    talk.said("Welcome Ada")
    talk.say("hi")
    talk.said("Welcome Ada", "You wrote hi")
    activates(talk)  # the dialog is over, the session isn't
    talk.said("Welcome Ada", "You wrote hi")
    with_agent.said()


def test_the_bot_waits_for_the_user_where_speaking_first_is_off(stage: Stage) -> None:
    talk = stage.talk("waits")
    activates(talk)
    talk.said()
    talk.say("hi")
    talk.said("You wrote hi")


def test_endpoints_and_their_tenants_live_side_by_side_and_apart(stage: Stage) -> None:
    name = f"side-by-side-{time.time_ns()}"
    talk = stage.talk("parrot", id=name)
    other = stage.talk("counts")
    talk.say("one of mine")
    other.say("x")
    talk.said("one of mine")
    other.said("dialog 1, message 1")
    # The same conversation id at another tenant is another conversation.
    event = {"eventType": "MESSAGE", "data": {"sender": {"type": "user"}, "text": "same id"}}
    record = other.sends(event={**event, "conversationId": name})
    assert record.attempts[-1].status == 200
    both = "SELECT endpoint FROM conversation WHERE external_id = $1 ORDER BY endpoint"
    assert [row[0] for row in stage.rows(both, name)] == ["counts", "parrot"]
    talk.said("one of mine")


def test_endpoints_are_listed_with_url_tenant_bot_and_last_event(stage: Stage) -> None:
    talk = stage.talk("parrot")
    talk.say("hello")
    talk.said("hello")
    httpx.post(f"{stage.parley.url}/8x8/sandbox-parrot-token", json={"eventType": "WEB_HOOK_VERIFY"})
    listed = stage.parley.run("endpoints", "--json")
    rows = {row["endpoint"]: row for row in json.loads(listed.stdout)}
    assert set(rows) == set(ENDPOINTS)
    row = rows["parrot"]
    assert row["tenant"] == "sandbox-parrot" and row["bot"] == "acceptance_bots:parrot"
    assert row["last_event"] and row["last_verify"]


def test_a_conversation_is_shown_as_a_timeline(stage: Stage) -> None:
    talk = stage.talk("parrot")
    talk.say("tell me")
    talk.said("tell me")
    shown = stage.parley.run("conversations", "show", talk.id)
    for words in ("MESSAGE → input", "user: tell me", "bot: tell me", "message sent", "session 1"):
        assert words in shown.stdout, shown.stdout + shown.stderr


def test_stored_dialogs_are_replayed_against_the_bots_at_hand(stage: Stage, tmp_path: Path) -> None:
    talk = stage.talk("asks")
    talk.say("hi")
    talk.said("Question 1?")
    before = len(stage.sandbox(calls.rest_calls(conversation=talk.id)).calls)
    fits = stage.parley.run("replay", "--endpoint", "asks", "--since", "1h")
    assert fits.returncode == 0, fits.stdout + fits.stderr

    write_endpoints(tmp_path, stage.parley.variables["PARLEY_SANDBOX_PORT"])
    changed = tmp_path / "acceptance_bots.py"
    begin = "    answers = [await chat.ask("
    assert begin in changed.read_text()
    changed.write_text(changed.read_text().replace(begin, f"    await chat.step(print)\n{begin}"))
    differs = stage.parley.run("replay", "--json", PARLEY_ENDPOINTS=str(tmp_path / "endpoints.yaml"))
    assert differs.returncode == 1
    found = {row["conversation"]: row for row in json.loads(differs.stdout)}
    assert found[talk.id]["result"] == "diverged" and found[talk.id]["position"] == 1
    assert len(stage.sandbox(calls.rest_calls(conversation=talk.id)).calls) == before
    talk.said("Question 1?")


def test_check_names_every_mistake_of_the_file_and_every_bad_bot(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "bad_bots.py").write_text(
        "import asyncio\n\n\nasync def sleeps(chat):\n    await asyncio.sleep(1)\n\n\n"
        "def plain(chat):\n    pass\n"
    )
    file = tmp_path / "endpoints.yaml"
    key = {"api_key": "long-enough-key"}
    good = {"name": "good", "token": "a-token-that-is-long-enough", "eightxeight": key}
    file.write_text(
        json.dumps(
            {
                "endpoints": [
                    {**good, "flow": "bad_bots:plain"},
                    {"name": "short", "token": "short", "flow": "nowhere:bot", "eightxeight": key},
                    {**good, "name": "lost", "token": "${NOWHERE_SET}", "flow": "bad_bots:sleeps"},
                ]
            }
        )
    )
    broken = stage.parley.run("check", PARLEY_ENDPOINTS=str(file))
    assert broken.returncode == 1
    assert "endpoints[1].token" in broken.stderr, broken.stderr
    assert "NOWHERE_SET" in broken.stderr
    assert "Traceback" not in broken.stderr

    file.write_text(
        json.dumps(
            {
                "endpoints": [
                    {**good, "flow": "bad_bots:plain"},
                    {**good, "name": "b", "token": "another-token-long-enough", "flow": "bad_bots:sleeps"},
                ]
            }
        )
    )
    bad = stage.parley.run("check", PARLEY_ENDPOINTS=str(file))
    assert bad.returncode == 1
    assert "must be an `async def`" in bad.stderr, bad.stderr
    assert "bad_bots.py:5: error" in bad.stderr and "chat.step" in bad.stderr
    assert stage.parley.run("check", PARLEY_ENDPOINTS=str(file.parent / "none.yaml")).returncode != 0
