"""Events as 8x8 posts them: signed, of every type, repeated, forged, broken."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox import calls, schema
from app.sandbox.faults import JwkError, WebhookDuplicate
from tests.acceptance.running import eventually
from tests.acceptance.stage import Stage

DOCUMENTED = Path(__file__).parents[3] / "shared" / "8x8" / "events"
SENDER = {"id": "somebody", "type": "user"}

#: Every type of event in our own words, with the outcome that is stored for it.
OWN: dict[str, tuple[dict[str, Any], str]] = {
    "conversation created": ({"eventType": "CONVERSATION_UPDATE", "data": {"state": "created"}}, "noted"),
    "conversation active": (
        {
            "eventType": "CONVERSATION_UPDATE",
            "data": {
                "state": "active",
                "channel": "WebChat",
                "assignment": {"type": "script", "id": "2001"},
                "user": {"name": "Ada", "additionalProperties": [{"key": "plan", "value": "gold"}]},
            },
        },
        "noted",
    ),
    "conversation idle": ({"eventType": "CONVERSATION_UPDATE", "data": {"state": "idle"}}, "noted"),
    "queued": ({"eventType": "QUEUED", "data": {"queueId": "101", "queueName": "Support"}}, "noted"),
    "agent joined": (
        {"eventType": "MEMBERS_CHANGED", "data": {"memberType": "agent", "change": "joined", "id": "a1"}},
        "noted",
    ),
    "transfer": ({"eventType": "TRANSFER"}, "noted"),
    "message of the user": (
        {"eventType": "MESSAGE", "data": {"isEcho": False, "sender": SENDER, "text": "hello"}},
        "input",
    ),
    "message of an agent": (
        {
            "eventType": "MESSAGE",
            "data": {"isEcho": False, "sender": {"id": "a1", "type": "agent"}, "text": "x"},
        },
        "noted",
    ),
    "echo": ({"eventType": "MESSAGE", "data": {"isEcho": True, "text": "hello"}}, "echo"),
    "file": (
        {
            "eventType": "MESSAGE",
            "data": {
                "isEcho": False,
                "sender": SENDER,
                "text": "see",
                "attachments": [{"id": "f", "type": "image", "preSignedUrl": "https://files.example/f"}],
            },
        },
        "input",
    ),
    "typing": (
        {"eventType": "ACTIVITY", "data": {"name": "typing", "value": {"users": [SENDER]}}},
        "noted",
    ),
    "read receipts": ({"eventType": "ACTIVITY", "data": {"name": "read-receipts", "value": []}}, "noted"),
    "quick reply": (
        {
            "eventType": "ACTIVITY",
            "data": {
                "name": "quickReply/action",
                "value": {"type": "postback", "data": {"title": "Yes", "payload": "yes"}},
            },
        },
        "input",
    ),
    "card": (
        {
            "eventType": "ACTIVITY",
            "data": {"name": "adaptiveCard/action", "value": {"type": "Action.Submit", "data": {"stars": 4}}},
        },
        "input",
    ),
    "button": (
        {
            "eventType": "ACTIVITY",
            "data": {
                "name": "interactive/reply",
                "value": {"type": "button_reply", "button_reply": {"id": "b1", "title": "No"}},
            },
        },
        "input",
    ),
    "unknown": ({"eventType": "NEW_IN_2031", "data": {"anything": [1, None]}, "field": "new"}, "ignored"),
}


def handled(stage: Stage, event_id: str) -> str:
    """The stored event's outcome, once it has one."""
    query = "SELECT outcome FROM event WHERE event_id = $1 AND processed_at IS NOT NULL"
    eventually(lambda: stage.value(query, event_id), within=20, what="handling of the event")
    outcome: str = stage.value(query, event_id)
    return outcome


@pytest.mark.parametrize("name", OWN)
def test_every_type_of_event_is_taken_and_handled(stage: Stage, name: str) -> None:
    event, outcome = OWN[name]
    talk = stage.talk("parrot")
    record = talk.sends({"timestamp": int(time.time() * 1000), **event})
    assert [attempt.status for attempt in record.attempts] == [200]
    assert handled(stage, record.event_id) == outcome
    talk.quiet()
    assert len(talk.texts()) == (outcome == "input")


@pytest.mark.skipif(
    not DOCUMENTED.is_dir(), reason="8x8's documented examples are not beside this repository"
)
@pytest.mark.parametrize("path", sorted(DOCUMENTED.glob("*.json")), ids=lambda path: path.stem)
def test_every_documented_example_is_taken_and_handled(stage: Stage, path: Path) -> None:
    body = path.read_text()
    event = json.loads(body)
    talk = stage.talk("parrot")
    for how in ("as it is", "of a conversation that 8x8 knows"):
        if how != "as it is":
            body = json.dumps({**event, "conversationId": talk.id})
        record = talk.sends(body=body)
        assert [attempt.status for attempt in record.attempts] == [200], how
        stored = stage.rows("SELECT type, body FROM event WHERE event_id = $1", record.event_id)
        if event["eventType"] == "WEB_HOOK_VERIFY":
            assert stored == []
            return
        assert [(row[0], row[1]) for row in stored] == [(event["eventType"], body.encode())]
        outcome = handled(stage, record.event_id)
        assert outcome in ("input", "noted", "ignored")
    talk.quiet()
    assert len(talk.texts()) == (outcome == "input")


def test_a_verify_needs_no_signature_and_stores_nothing(stage: Stage) -> None:
    before = stage.value("SELECT count(*) FROM event")
    url = f"{stage.parley.url}/8x8/sandbox-parrot-token"
    answer = httpx.post(
        url, json={"eventType": "WEB_HOOK_VERIFY", "notificationVersion": "Chat Gateway v1.0"}
    )
    assert answer.status_code == 200
    assert stage.value("SELECT count(*) FROM event") == before
    assert stage.value("SELECT verified_at FROM endpoint_state WHERE endpoint = 'parrot'") is not None


def test_ten_copies_at_a_time_are_one_event(stage: Stage) -> None:
    talk = stage.talk("parrot")
    fault = stage.sandbox(
        calls.add_fault(WebhookDuplicate(conversation=talk.id, copies=10, event_type="MESSAGE"))
    )
    words = [f"copy {number}" for number in range(5)]
    for word in words:
        talk.say(word)
    talk.said(*words)
    stage.sandbox(calls.remove_fault(fault.id))

    def answered() -> list[schema.WebhookView]:
        """Once all copies are: of five messages of the user, and of five echoes."""
        records = stage.sandbox(calls.webhooks(conversation=talk.id, event_type="MESSAGE")).webhooks
        return records if [len(record.attempts) for record in records] == [10] * 10 else []

    records = eventually(answered, within=10, what="ten answers to each of ten events")
    assert {attempt.status for record in records for attempt in record.attempts} == {200}
    assert stage.value("SELECT count(*) FROM event WHERE conversation_id = $1", talk.number) == 10


def test_an_event_resent_much_later_changes_nothing(stage: Stage) -> None:
    talk = stage.talk("parrot")
    record = talk.sends(event=message("once"))
    talk.said("once")
    again = stage.sandbox(calls.resend(record.event_id))
    assert [attempt.status for attempt in again.attempts] == [200]
    talk.said("once")


def test_the_same_id_with_another_body_is_an_incident_and_runs_nothing(stage: Stage) -> None:
    talk = stage.talk("parrot")
    record = talk.sends(event=message("first"), event_id=f"same-{talk.id}")
    talk.said("first")
    forged = talk.sends(event=message("forged"), event_id=record.event_id, retry=1)
    assert [attempt.status for attempt in forged.attempts] == [200]
    kinds = "SELECT kind FROM incident WHERE conversation_id = $1"
    eventually(lambda: stage.value(kinds, talk.number) == "body_mismatch", within=10, what="incident")
    talk.said("first")


def test_twenty_quick_messages_are_answered_in_order(stage: Stage) -> None:
    talk = stage.talk("parrot")
    words = [f"quick {number}" for number in range(20)]
    for word in words:
        talk.say(word)
    talk.said(*words)


def test_a_forged_or_stale_signature_is_refused_and_nothing_is_stored(stage: Stage) -> None:
    talk = stage.talk("parrot")
    hour = 3_600_000
    for how in (
        {"signature": "wrong_key"},
        {"signature": "none"},
        {"clock_offset_ms": -hour},
        {"clock_offset_ms": hour},
        {"headers": {"x-8x8-event-id": "another"}},
    ):
        record = talk.sends(event=message("forged"), **how)
        assert [attempt.status for attempt in record.attempts] == [401], how
    assert talk.column("id") is None


def test_a_validly_signed_event_of_another_tenant_is_refused(stage: Stage) -> None:
    talk = stage.talk("parrot")
    record = talk.sends(event=message("not yours"), tenant="sandbox-echo")
    assert [attempt.status for attempt in record.attempts] == [401]
    signed = stage.sandbox(
        calls.sign([schema.SignItem(conversation=talk.id, event=message("mine"))])
    ).requests[0]
    other = httpx.post(
        f"{stage.parley.url}/8x8/sandbox-echo-token", content=signed.body, headers=signed.headers
    )
    assert other.status_code == 401
    assert talk.column("id") is None
    assert stage.value("SELECT count(*) FROM event WHERE event_id = $1", signed.event_id) == 0


def test_what_is_no_event_or_too_big_or_for_nobody_is_refused(stage: Stage) -> None:
    talk = stage.talk("parrot")
    for body, status in (("{]", 400), ("[1]", 400), ('{"data": 1}', 400), ("x" * ((1 << 20) + 1), 413)):
        record = talk.sends(body=body, retry=0)
        assert [attempt.status for attempt in record.attempts] == [status], body[:20]
    assert httpx.post(f"{stage.parley.url}/8x8/nobodys-token-at-all", json={}).status_code == 404


def test_a_key_service_that_fails_once_costs_a_retry_and_no_event(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.rotate_key())  # a key that the receiver has never seen
    fault = stage.sandbox(calls.add_fault(JwkError(count=1)))
    record = talk.sends(event=message("who signed this?"))
    stage.sandbox(calls.remove_fault(fault.id))
    assert [attempt.status for attempt in record.attempts] == [503, 200]
    talk.said("who signed this?")


@pytest.mark.parametrize(
    ("escaped", "length"), [(r"a\u0000b", 3), (r"a\ud800b", 3), (r"\udc00\u0000\ud83d\ude00", 3)]
)
def test_nul_and_lone_surrogates_are_stored_and_answered(stage: Stage, escaped: str, length: int) -> None:
    talk = stage.talk("measures")
    body = json.dumps({**message("TEXT"), "conversationId": talk.id}).replace("TEXT", escaped)
    record = talk.sends(body=body)
    assert [attempt.status for attempt in record.attempts] == [200]
    talk.said(f"{length} characters")
    assert stage.value("SELECT body FROM event WHERE event_id = $1", record.event_id) == body.encode()


def message(text: str) -> dict[str, Any]:
    """A message of the user."""
    return {
        "eventType": "MESSAGE",
        "timestamp": int(time.time() * 1000),
        "data": {"isEcho": False, "sender": SENDER, "text": text},
    }
