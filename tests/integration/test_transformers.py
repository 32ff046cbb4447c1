"""Transformers: what they change, drop and keep, and that no replay runs them again."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.step_threads import StepThreads
from app.transformers import threads
from app.transformers.types import Changed, InputEvent, OutputEvent, TurnOutputs
from tests.integration.scene import scene

HERE = __name__
calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


async def repeats(chat: Chat) -> None:
    while chat.message.text != "end":
        await chat.say(f"{chat.message.text} {dict(chat.message.data)} {chat.message.user_id}")
        await chat.receive()


def loud(event: InputEvent) -> dict[str, Any] | None:
    calls.append(event.text)
    event.storage["n"] = event.storage.get("n", 0) + 1
    if event.text == "drop me":
        return None
    return {"text": event.text.upper(), "data": {"n": event.storage["n"]}}


async def typed(event: InputEvent) -> Changed:
    calls.append(event.text)
    return Changed(user_id="somebody")


def wrong(event: InputEvent) -> object:
    calls.append(event.text)
    if event.text == "long":
        return {"text": "x" * 10_001}
    if event.text == "list":
        return [1]
    if event.text == "unknown":
        return {"txt": "x"}
    if event.text == "slow":
        time.sleep(0.5)
    raise RuntimeError("a user's secret")


async def test_the_bot_gets_the_transformed_input_and_replays_do_not_transform_again(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, repeats, transformers={"input": f"{HERE}:loud"})
    for word in ("a", "b", "c"):
        await play.says(word)
        await play.work()
    assert play.gateway.texts == ["A {'n': 1} None", "B {'n': 2} None", "C {'n': 3} None"]
    assert calls == ["a", "b", "c"]
    texts = await play.rows("SELECT content->'message'->>'text' FROM journal WHERE kind = 'input'")
    assert [row[0] for row in texts] == ["A", "B", "C"]
    assert await play.value("SELECT storage FROM session") == {"n": 3}
    lines = await play.rows("SELECT text FROM message WHERE author = 'user' ORDER BY id")
    assert [row[0] for row in lines] == ["A", "B", "C"]


async def test_something_falsy_drops_the_input(engine: AsyncEngine) -> None:
    play = scene(engine, repeats, transformers={"input": f"{HERE}:loud"})
    for word in ("drop me", "a", "drop me", "b"):
        await play.says(word)
    await play.work()
    assert play.gateway.texts == ["A {'n': 1} None", "B {'n': 2} None"]
    outcomes = await play.rows("SELECT outcome FROM event ORDER BY id")
    assert [row[0] for row in outcomes] == ["dropped", "input", "dropped", "input"]


async def test_async_and_typed_transformers_keep_what_they_do_not_change(engine: AsyncEngine) -> None:
    play = scene(engine, repeats, transformers={"input": f"{HERE}:typed"})
    await play.says("a")
    await play.work()
    assert play.gateway.texts == ["a {} somebody"]


async def test_what_fails_or_breaks_the_rules_lets_the_original_pass(engine: AsyncEngine) -> None:
    settings = {"input": f"{HERE}:wrong", "timeout": 0.2}
    play = scene(engine, repeats, transformers=settings)
    for word in ("boom", "long", "list", "unknown", "slow"):
        await play.says(word)
        await play.work()
    assert [text.split()[0] for text in play.gateway.texts] == ["boom", "long", "list", "unknown", "slow"]


async def test_abort_on_error_drops_the_input_and_is_never_silent(engine: AsyncEngine) -> None:
    settings = {"input": f"{HERE}:wrong", "abort_on_error": True}
    play = scene(engine, repeats, transformers=settings, on_error={"message": "Sorry!"})
    await play.says("boom")
    await play.work()
    assert play.gateway.texts == ["Sorry!"]
    assert await play.value("SELECT kind FROM incident") == "transformer_failed"
    assert await play.value("SELECT outcome FROM event") == "failed"


def polite(event: OutputEvent) -> dict[str, Any] | None:
    calls.append(event.rendered["text"])
    if event.output["text"] == "secret":
        return None
    return {**event.rendered, "text": f"{event.rendered['text']}, please"}


async def talks(chat: Chat) -> None:
    await chat.say("one", quick_replies=["x"])
    await chat.say("secret")
    await chat.receive()
    await chat.say("two")
    await chat.receive()


async def test_outputs_are_sent_transformed_and_journaled_as_the_bot_said_them(engine: AsyncEngine) -> None:
    play = scene(engine, talks, transformers={"output": f"{HERE}:polite"})
    for word in "abc":
        await play.says(word)
        await play.work()
    assert play.gateway.texts == ["one, please", "two, please"]
    assert calls == ["one", "secret", "two"]
    assert play.gateway.requests[0][2]["cards"], "the rest of the message stays"
    said = await play.rows(
        "SELECT content->>'text' FROM journal WHERE kind = 'output' ORDER BY dialog_id, position"
    )
    assert [row[0] for row in said] == ["one", "secret", "two"]


def at_once(event: TurnOutputs) -> list[dict[str, Any]] | None:
    calls.append(str(len(event.outputs)))
    texts = [str(body["text"]) for body in event.rendered]
    return None if "nothing" in texts else [{"text": " | ".join(texts)}]


async def wait() -> str:
    return "done"


async def steps(chat: Chat) -> None:
    await chat.say("first")
    await chat.step(wait)
    await chat.say("second")
    await chat.receive()
    await chat.say("nothing")
    await chat.receive()
    await chat.say("connecting")
    await chat.handover("101")


async def test_outputs_wait_for_the_turns_end_when_execution_finished_is_set(engine: AsyncEngine) -> None:
    play = scene(
        engine, steps, transformers={"execution_finished": f"{HERE}:at_once"}, handover={"queue": "101"}
    )
    for word in "abc":
        await play.says(word)
        await play.work()
    assert play.gateway.texts == ["first | second", "connecting"]
    assert calls == ["2", "1", "1"]
    kinds = [kind for kind, _, _ in play.gateway.requests]
    assert kinds == ["message", "message", "assignment"], "what was said goes out before the handover"


class WorkerDied(BaseException):
    """Nothing catches it."""


async def test_what_was_held_is_not_lost_when_a_worker_dies_after_a_step(engine: AsyncEngine) -> None:
    deaths: list[int] = []

    async def dies_once() -> str:
        if not deaths:
            deaths.append(1)
            raise WorkerDied
        return "done"

    async def bot(chat: Chat) -> None:
        await chat.say("first")
        await chat.step(wait)
        await chat.step(dies_once)
        await chat.say("second")

    play = scene(engine, bot, transformers={"execution_finished": f"{HERE}:at_once"})
    await play.says("a")
    with pytest.raises(WorkerDied):
        await play.work()
    assert play.gateway.texts == []
    await play.later(0)
    assert play.gateway.texts == ["first | second"]


async def test_harmful_html_never_reaches_the_bot_where_inputs_are_sanitised(engine: AsyncEngine) -> None:
    play = scene(engine, repeats, input_sanitization=True)
    await play.says("<b>hi</b><script>alert(1)</script><img src=x onerror=alert(1)> 1 < 2")
    await play.says("1 < 2 & 3")
    await play.work()
    assert "script" not in play.gateway.texts[0] and "onerror" not in play.gateway.texts[0]
    assert play.gateway.texts[0].startswith("<b>hi</b>")
    assert play.gateway.texts[1].startswith("1 < 2 & 3 ")


def scripted(event: InputEvent) -> dict[str, Any]:
    return {"text": f"{event.text}<script>alert(1)</script>", "data": {"a": ["<img src=x onerror=alert(1)>"]}}


async def test_what_a_transformer_made_of_an_input_is_sanitised_too(engine: AsyncEngine) -> None:
    play = scene(engine, repeats, input_sanitization=True, transformers={"input": f"{HERE}:scripted"})
    await play.says("hi")
    await play.work()
    assert play.gateway.texts == ["hi {'a': ['<img src=\"x\">']} None"]


def stubborn(event: InputEvent) -> dict[str, Any]:
    """Tries to become another conversation's input."""
    assert isinstance(event.payload, dict)
    event.payload["conversationId"] = "ANOTHER"
    event.payload["data"] = {}
    return {"sessionId": "ANOTHER", "text": event.text}


async def test_a_transformer_changes_neither_conversation_nor_order_nor_what_is_stored(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, repeats, transformers={"input": f"{HERE}:stubborn"})
    for word in "ab":
        await play.says(word)
    await play.work()
    assert [text.split()[0] for text in play.gateway.texts] == ["a", "b"]
    assert {request[1] for request in play.gateway.requests} == {"ID-0"}
    assert await play.value("SELECT count(*) FROM conversation") == 1
    stored = await play.rows("SELECT payload->>'conversationId' FROM event")
    assert {row[0] for row in stored} == {"ID-0"}


async def test_external_references_are_plain_text_in_transcripts_only(engine: AsyncEngine) -> None:
    play = scene(engine, repeats, hide_external_references=True)
    await play.says('<a href="https://evil.example">x</a> <img src=//evil> www.evil.example')
    await play.work()
    line = await play.value("SELECT text FROM message WHERE author = 'user'")
    assert line == (
        '&lt;a href="https[://]evil.example"&gt;x&lt;/a&gt; &lt;img src=//evil&gt; www[.]evil.example'
    )
    assert play.gateway.texts[0].startswith('<a href="https://evil.example">')


def exits(event: InputEvent) -> None:
    raise SystemExit(event.text)


async def test_a_transformer_that_wants_to_end_the_process_has_failed(engine: AsyncEngine) -> None:
    play = scene(engine, repeats, transformers={"input": f"{HERE}:exits"})
    await play.says("a")
    await play.work()
    assert play.gateway.texts == ["a {} None"], "the original passes on"


async def test_ops_hear_once_of_transformers_that_hold_every_thread(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "threads", StepThreads(1))
    play = scene(engine, repeats, transformers={"input": f"{HERE}:sleeps", "timeout": 0.05})
    for word in ("slow", "b", "c"):
        await play.says(word)
    await play.work()
    assert play.gateway.texts == ["slow {} None", "b {} None", "c {} None"]
    incidents = await play.rows("SELECT endpoint, kind, detail FROM incident")
    assert [tuple(row) for row in incidents] == [("support", "transformers_stuck", {})]


def sleeps(event: InputEvent) -> None:
    time.sleep(1.5)
