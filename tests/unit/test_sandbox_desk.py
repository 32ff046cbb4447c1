"""The agent's part: queues, accept, write, transfer in both orders, leave, back to the bot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.sandbox import calls
from app.sandbox.client import AsyncSandboxClient, ControlError
from app.sandbox.schema import ConversationView
from tests.sandbox_bench import Bench, bench_running, path


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.fresh()
    return shared_bench


def hand_over(bench: Bench, conversation: ConversationView, queue: str = "101") -> None:
    body = {"assignment": {"type": "queue", "id": queue}}
    assert bench.http.patch(path(conversation), json=body).status_code == 202
    bench.settle()
    bench.sink.hooks.clear()


def story(bench: Bench) -> list[str]:
    """The events so far, each in a word or two."""
    bench.settle()
    told = []
    for event in bench.sink.events():
        data = event.get("data", {})
        detail = data.get("change") or data.get("state") or data.get("queueId") or data.get("text") or ""
        told.append(f"{event['eventType']} {detail}".strip())
    return told


def waiting(bench: Bench, queue: str) -> list[str]:
    queues = bench.control(calls.queues()).queues
    return next(one.waiting for one in queues if one.id == queue and one.tenant == "acme01")


def test_conversations_wait_in_their_queue_until_an_agent_accepts(bench: Bench) -> None:
    first, second = bench.start(), bench.start()
    hand_over(bench, first)
    hand_over(bench, second)
    assert waiting(bench, "101") == [first.id, second.id]
    accepted = bench.control(calls.accept(first.id, "agent-7"))
    assert accepted.agent == "agent-7"
    assert waiting(bench, "101") == [second.id]
    assert story(bench) == ["MEMBERS_CHANGED joined", "CONVERSATION_UPDATE active"]
    joined, update = bench.sink.events()
    assert joined["data"] == {"memberType": "agent", "change": "joined", "id": "agent-7"}
    assert update["data"]["assignment"]["type"] == "agent"
    assert update["data"]["assignment"]["id"] == "agent-7"


def test_what_the_agent_writes_is_told_and_shown(bench: Bench) -> None:
    conversation = bench.start()
    hand_over(bench, conversation)
    bench.control(calls.accept(conversation.id, "agent-7", joined_event=False))
    bench.control(calls.agent_says(conversation.id, "Good day"))
    assert story(bench) == ["CONVERSATION_UPDATE active", "MESSAGE Good day"]
    data = bench.sink.events("MESSAGE")[0]["data"]
    assert (data["isEcho"], data["sender"]) == (False, {"id": "agent-7", "type": "agent"})
    [message] = bench.read_back(conversation)
    assert message["author"]["type"] == "agent"


@pytest.mark.parametrize(
    ("transfer_first", "order"),
    [
        (False, ["MEMBERS_CHANGED left", "TRANSFER"]),
        (True, ["TRANSFER", "MEMBERS_CHANGED left"]),
    ],
)
def test_a_transfer_comes_in_both_orders(bench: Bench, transfer_first: bool, order: list[str]) -> None:
    conversation = bench.start()
    hand_over(bench, conversation)
    bench.control(calls.accept(conversation.id))
    bench.settle()
    bench.sink.hooks.clear()
    moved = bench.control(calls.transfer(conversation.id, "102", transfer_first=transfer_first, gap=0.05))
    assert (moved.queue, moved.agent) == ("102", None)
    assert story(bench) == [*order, "CONVERSATION_UPDATE active", "QUEUED 102"]
    assert waiting(bench, "102") == [conversation.id]


def test_an_agent_who_leaves_ends_the_interaction_and_the_user_can_begin_another(bench: Bench) -> None:
    conversation = bench.start()
    hand_over(bench, conversation)
    bench.control(calls.accept(conversation.id))
    bench.control(calls.agent_leaves(conversation.id))
    assert story(bench)[-2:] == ["MEMBERS_CHANGED left", "CONVERSATION_UPDATE idle"]
    bench.sink.hooks.clear()
    bench.control(calls.say(conversation.id, "One more thing"))
    assert story(bench) == ["CONVERSATION_UPDATE active", "MESSAGE One more thing"]
    shown = bench.control(calls.conversation(conversation.id))
    assert (shown.state, len(shown.interactions)) == ("active", 2)
    assert shown.assignment == {"type": "script", "id": "2001"}


def test_the_bot_gets_the_conversation_back_where_it_asked_for_that(bench: Bench) -> None:
    conversation = bench.start()
    webhooks = bench.http.get("/chat-gateway/v1/webhooks").json()["_embedded"]["webhooks"]
    body = {
        "type": "webhook",
        "id": webhooks[0]["id"],
        "configuration": {"notifyChannelWebhookIfExists": "false", "maxTotalMinutes": 20},
    }
    answer = bench.http.post(path(conversation, "post-agent-assignment"), json=body)
    assert (answer.status_code, answer.content) == (201, b"")
    hand_over(bench, conversation)
    bench.control(calls.accept(conversation.id))
    left = bench.control(calls.agent_leaves(conversation.id))
    assert (left.state, left.assignment) == ("active", {"type": "script", "id": "2001"})
    assert story(bench)[-2:] == ["MEMBERS_CHANGED left", "CONVERSATION_UPDATE active"]
    bench.control(calls.say(conversation.id, "Survey?"))
    assert story(bench)[-1] == "MESSAGE Survey?"
    unknown = body | {"id": "unknown"}
    assert bench.http.post(path(conversation, "post-agent-assignment"), json=unknown).status_code == 404


def test_the_bot_takes_the_conversation_back_by_its_script(bench: Bench) -> None:
    conversation = bench.start()
    hand_over(bench, conversation)
    bench.control(calls.accept(conversation.id, "agent-7"))
    bench.settle()
    bench.sink.hooks.clear()
    body = {"assignment": {"type": "script", "id": "2001"}}
    assert bench.http.patch(path(conversation), json=body).status_code == 202
    assert story(bench) == ["MEMBERS_CHANGED left", "CONVERSATION_UPDATE active"]
    assert bench.control(calls.conversation(conversation.id)).agent is None


def test_a_user_who_leaves_or_an_idle_end_closes_the_interaction(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.user_leaves(conversation.id))
    assert story(bench) == ["MEMBERS_CHANGED left", "CONVERSATION_UPDATE idle"]
    other = bench.start()
    bench.control(calls.idle(other.id))
    bench.control(calls.idle(other.id))
    assert story(bench) == ["CONVERSATION_UPDATE idle"]


def test_a_user_whose_id_a_bot_has_changed_can_write_again(bench: Bench) -> None:
    conversation = bench.start()
    assert bench.http.patch(path(conversation), json={"user": {"userId": "other"}}).status_code == 202
    bench.control(calls.idle(conversation.id))
    bench.settle()
    bench.sink.hooks.clear()
    bench.control(calls.say(conversation.id, "Hello again"))
    assert story(bench) == ["CONVERSATION_UPDATE active", "MESSAGE Hello again"]
    everybody = bench.http.get(path(conversation, "participants")).json()["_embedded"]["participants"]
    assert "other" in [each["id"] for each in everybody]


@pytest.mark.parametrize(
    "user", [{"additionalProperties": [{"k": 1}]}, {"additionalProperties": "x"}, {"name": 7}]
)
def test_a_user_that_the_gateway_would_refuse_starts_no_conversation(
    bench: Bench, user: dict[str, Any]
) -> None:
    with pytest.raises(ControlError) as refused:
        bench.control(calls.start(user=user))
    assert refused.value.status == 400
    assert bench.control(calls.conversations()).conversations == []


def test_what_no_agent_can_do_is_refused(bench: Bench) -> None:
    conversation = bench.start()
    impossible: list[calls.Call[Any]] = [
        calls.accept(conversation.id),
        calls.agent_says(conversation.id, "x"),
        calls.transfer(conversation.id, "102"),
        calls.agent_leaves(conversation.id),
    ]
    for call in impossible:
        with pytest.raises(ControlError) as refused:
            bench.control(call)
        assert refused.value.status == 409
    with pytest.raises(ControlError) as unknown:
        bench.control(calls.say("nowhere", "x"))
    assert unknown.value.status == 404


async def test_async_code_waits_for_messages(bench: Bench) -> None:
    async with AsyncSandboxClient(bench.url) as sandbox:
        conversation = await sandbox(calls.start())
        await sandbox(calls.say(conversation.id, "Hi"))
        nothing = await sandbox(calls.messages(conversation.id, author="bot", timeout=0.05))
        assert nothing.messages == []
        for text in ("one", "two"):
            bench.bot_says(conversation, text)
        page = await sandbox(calls.messages(conversation.id, author="bot", at_least=2, timeout=5))
        assert [message.text for message in page.messages] == ["one", "two"]
        arrived = [message.arrived_ns for message in page.messages]
        assert arrived == sorted(arrived)
        every = await sandbox(calls.all_messages(since=page.messages[0].seq))
        assert [message.text for message in every.messages] == ["two"]
