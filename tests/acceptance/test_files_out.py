"""Files that bots send, through real processes: the user has the bytes, once, whatever happens on the way."""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
import pytest

from app.sandbox import calls, schema
from app.sandbox.faults import AnswerLost, RestDelay, RestError
from tests.acceptance.running import eventually
from tests.acceptance.stage import Stage, Talk

CONTENT = b"%PDF-1.7\n" + os.urandom(3_000_000)


@pytest.fixture
def name(stage: Stage, request: pytest.FixtureRequest) -> str:
    """A file that the bot has."""
    name = f"Menü {abs(hash(request.node.name))}.pdf"
    Path(stage.signals / name).write_bytes(CONTENT)
    return name


def seen(talk: Talk) -> list[tuple[str | None, list[schema.FileView]]]:
    """Text and files of the bot's messages, as the user has them."""
    wanted = calls.messages(talk.id, author="bot")
    return [(each.text, each.attachments) for each in talk.stage.sandbox(wanted).messages]


def has_file(talk: Talk, name: str) -> None:
    """Assert that the user has got the file in one message, with its bytes, and nothing else."""
    talk.texts(1)
    talk.quiet()
    [(text, [file])] = seen(talk)
    assert text == f"Here is {name}."
    assert (file.file_name, file.content_type, file.size) == (name, "application/pdf", len(CONTENT))
    assert httpx.get(file.url, trust_env=False).content == CONTENT


def uploads(talk: Talk) -> list[int | None]:
    """Statuses that uploads were answered with."""
    found = talk.stage.sandbox(calls.rest_calls(conversation=talk.id, operation="attachments")).calls
    return [call.status for call in found if call.method == "POST"]


def test_the_user_receives_the_file_and_later_turns_send_nothing_again(stage: Stage, name: str) -> None:
    talk = stage.talk("sends-files")
    talk.say(name)
    has_file(talk, name)
    (stage.signals / name).unlink()
    talk.say("and")
    assert talk.texts(2)[1] == "More?"
    talk.quiet()
    assert len(seen(talk)) == 2 and uploads(talk) == [200]
    [row] = stage.rows("SELECT * FROM file WHERE conversation_id = $1", talk.number)
    assert (row["direction"], row["state"], row["size"]) == ("out", "stored", len(CONTENT))


def test_uploads_follow_the_rules_of_deliveries(stage: Stage, name: str) -> None:
    slowly, broken, lost, refused = (stage.talk("sends-files") for _ in range(4))
    limit = RestError(conversation=slowly.id, operation="attachments", status=429, retry_after=3, count=1)
    stage.sandbox(calls.add_fault(limit))
    stage.sandbox(calls.add_fault(RestError(conversation=broken.id, operation="attachments", count=2)))
    stage.sandbox(calls.add_fault(AnswerLost(conversation=lost.id, operation="send_message", count=1)))
    stage.sandbox(calls.add_fault(RestError(conversation=refused.id, operation="attachments", status=413)))
    for talk in (slowly, broken, lost, refused):
        talk.say(name)
    for talk in (slowly, broken, lost):
        has_file(talk, name)
    assert uploads(slowly) == [429, 200] and slowly.outcomes() == ["retry", "sent"]
    tried = stage.sandbox(calls.rest_calls(conversation=slowly.id, operation="attachments")).calls
    assert tried[1].at - tried[0].at >= 3000
    assert uploads(broken) == [500, 500, 200]
    assert uploads(lost) == [200], "the message is in doubt, not the file"
    refused.quiet()
    assert seen(refused) == [] and refused.deliveries() == [("dead", 1)]
    refused.say("and")
    assert refused.texts(1) == ["More?"]


def test_a_worker_killed_between_upload_and_message_uploads_nothing_again(stage: Stage, name: str) -> None:
    stage.worker_pid()
    talk = stage.talk("sends-files")
    stage.sandbox(
        calls.add_fault(RestDelay(conversation=talk.id, operation="send_message", ms=4000, count=1))
    )
    talk.say(name)
    kept = """SELECT count(*) FROM file f JOIN conversation c ON c.id = f.conversation_id
              WHERE c.external_id = $1 AND f.gateway_id IS NOT NULL"""
    eventually(lambda: stage.value(kept, talk.id) == 1, within=30, what="the upload")
    stage.crash_worker()
    stage.worker_pid()
    has_file(talk, name)
    assert uploads(talk) == [200]


def test_on_a_channel_without_files_the_user_gets_a_link_that_opens_it(stage: Stage, name: str) -> None:
    talk = stage.talk("sends-files", channel="SMS", announce=True)
    stage.sandbox(calls.settled())
    talk.say(name)
    [text] = talk.texts(1)
    found = re.fullmatch(rf"Here is {re.escape(name)}\.\n\n{re.escape(name)}: (http://\S+)", text)
    assert found is not None, text
    assert httpx.get(found[1], trust_env=False).content == CONTENT
    assert uploads(talk) == []


def test_what_is_wrong_with_a_file_is_the_bots_to_tell(stage: Stage) -> None:
    talk = stage.talk("sends-files")
    talk.say("no such file")
    [text] = talk.texts(1)
    assert text.startswith("attachments[0] is no file that the worker can read")
    talk.say("and")
    talk.said(text, "More?")
