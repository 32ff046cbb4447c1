"""Typing, thinking, read receipts: seen by the user, and never in the way of a reply."""

from __future__ import annotations

from app.sandbox import calls, schema
from app.sandbox.faults import AnswerLost, Operation, RestError
from tests.acceptance.running import eventually
from tests.acceptance.stage import Stage, Talk

INDICATORS: tuple[Operation, ...] = ("typing", "thinking", "read_receipt")


def view(talk: Talk) -> schema.ConversationView:
    return talk.stage.sandbox(calls.conversation(talk.id))


def requests(talk: Talk, operation: str | None = None) -> list[schema.RestView]:
    return talk.stage.sandbox(calls.rest_calls(conversation=talk.id, operation=operation)).calls


def when_said(talk: Talk) -> int:
    """When the user wrote, by the sandbox's clock. (ms)"""
    [message] = talk.stage.sandbox(calls.messages(talk.id, author="user")).messages
    return message.created_at


def test_a_long_turn_is_seen_typing_and_thinking_and_its_message_read(stage: Stage) -> None:
    talk = stage.talk("shows")
    talk.say("seen")
    stage.signalled("seen.begun")
    eventually(lambda: view(talk).thinking, within=20, what="thinking")
    eventually(lambda: "bot" in view(talk).typing, within=20, what="typing")
    first = requests(talk, "typing")[0]
    assert first.at - when_said(talk) >= 1000, "it is shown once the turn has taken a second"
    eventually(lambda: view(talk).read_at, within=20, what="read")
    assert view(talk).read_at["bot"] >= when_said(talk)
    stage.signal("seen.go")
    talk.said("One moment…", "Thought about seen.")
    after = view(talk)
    assert not after.thinking and "bot" not in after.typing
    assert len(requests(talk, "thinking")) == len(requests(talk, "read_receipt")) == 1


def test_indicators_that_are_refused_cost_no_reply_and_pause_nothing(stage: Stage) -> None:
    talk = stage.talk("shows")
    for operation, status in zip(INDICATORS, (500, 429, 401), strict=True):
        stage.sandbox(calls.add_fault(RestError(conversation=talk.id, operation=operation, status=status)))
    talk.say("refused")
    stage.signalled("refused.begun")
    for operation in INDICATORS:
        eventually(lambda: requests(talk, operation), within=20, what=operation)  # noqa: B023 - called at once
    stage.signal("refused.go")
    talk.said("One moment…", "Thought about refused.")
    assert talk.deliveries() == [("sent", 1), ("sent", 1)]
    assert len(requests(talk, "thinking")) == len(requests(talk, "read_receipt")) == 1, "tried once"
    assert stage.value("SELECT count(*) FROM incident WHERE endpoint = 'shows'") == 0
    stage.signal("next.go")
    talk.say("next")
    talk.said("One moment…", "Thought about refused.", "One moment…", "Thought about next.")


def test_indicators_that_hang_hold_up_no_reply(stage: Stage) -> None:
    talk = stage.talk("shows")
    for operation in INDICATORS:
        hangs = AnswerLost(conversation=talk.id, operation=operation, how="hang", hold_ms=20_000)
        stage.sandbox(calls.add_fault(hangs))
    talk.say("hangs")
    stage.signalled("hangs.begun")
    eventually(lambda: requests(talk, "typing"), within=20, what="typing")
    stage.signal("hangs.go")
    talk.said("One moment…", "Thought about hangs.")
    assert talk.deliveries() == [("sent", 1), ("sent", 1)]
    said = stage.sandbox(calls.messages(talk.id, author="bot")).messages
    [read] = requests(talk, "read_receipt")
    assert read.status is None
    assert said[0].created_at < read.at + 2000, "nobody waits for an indicator"
    assert stage.value("SELECT count(*) FROM incident WHERE endpoint = 'shows'") == 0
