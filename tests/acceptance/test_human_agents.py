"""Handovers with real processes; the sandbox's agents take the conversations.

Each story has a conversation of its own; all are played at the same time, and each test looks at one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from app.sandbox import calls
from app.sandbox.faults import AnswerLost, RestError, WebhookDrop, WebhookDuplicate, WebhookReorder
from tests.acceptance.running import eventually
from tests.acceptance.stage import Stage, Talk

Story = Callable[[Stage], None]
STORIES: list[Story] = []
WAITING = ("One moment…", "Connecting you…")


def story(play: Story) -> Story:
    """Play it at the same time as all others."""
    STORIES.append(play)
    return play


def handover(talk: Talk) -> dict[str, Any]:
    """The conversation's newest handover."""
    query = "SELECT * FROM handover WHERE conversation_id = $1 ORDER BY id DESC LIMIT 1"
    rows = talk.stage.rows(query, talk.number)
    return dict(rows[0]) if rows else {"status": None}


def becomes(talk: Talk, status: str, *, within: float = 30.0) -> None:
    """Return once the handover is there."""
    eventually(
        lambda: handover(talk)["status"] == status, within=within, what=f"{status}, not {handover(talk)}"
    )


def waiting(stage: Stage, endpoint: str = "agents") -> Talk:
    """A user who waits in the queue."""
    talk = stage.talk(endpoint)
    talk.say("a person please")
    becomes(talk, "queued")
    return talk


def with_agent(stage: Stage, endpoint: str = "agents", agent: str = "agent-1") -> Talk:
    """A user whom an agent talks to."""
    talk = waiting(stage, endpoint)
    stage.sandbox(calls.accept(talk.id, agent))
    becomes(talk, "active")
    return talk


@story
def an_agent_helps_and_leaves_and_the_dialog_goes_on(stage: Stage) -> None:
    talk = waiting(stage)
    talk.said(*WAITING)
    user = stage.sandbox(calls.conversation(talk.id)).user
    shown = {pair["key"]: pair["value"] for pair in user["additionalProperties"]}  # type: ignore[attr-defined]
    assert shown["intent"] == "refund" and shown["summary"] == "wants a person"
    stage.sandbox(calls.accept(talk.id, "agent-7"))
    stage.sandbox(calls.agent_says(talk.id, "How can I help?"))
    becomes(talk, "active")
    talk.say("my order is late")
    talk.quiet()
    talk.said(*WAITING)
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")
    end = "completed [agent: How can I help? | user: my order is late]"
    talk.said(*WAITING, end)
    found = handover(talk)
    assert found["agents"] == '["agent-7"]' and found["active_at"] <= found["ended_at"]
    talk.say("thanks")
    talk.said(*WAITING, end, "Back with thanks")
    rows = stage.rows(
        "SELECT status FROM handover_transition WHERE handover_id = $1 ORDER BY id", found["id"]
    )
    assert [row[0] for row in rows] == ["requested", "queued", "active", "active", "completed"]


def _transferred(stage: Stage, *, transfer_first: bool) -> None:
    talk = with_agent(stage)
    stage.sandbox(calls.transfer(talk.id, "102", transfer_first=transfer_first, gap=1.0))
    becomes(talk, "queued")
    stage.sandbox(calls.accept(talk.id, "agent-2"))
    becomes(talk, "active")
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")
    talk.said(*WAITING, "completed []")
    found = handover(talk)
    assert (found["transfers"], found["agents"]) == (1, '["agent-1", "agent-2"]')


@story
def a_transfer_where_the_agent_leaves_first_is_not_the_end(stage: Stage) -> None:
    _transferred(stage, transfer_first=False)


@story
def a_transfer_that_is_told_first_is_not_the_end(stage: Stage) -> None:
    _transferred(stage, transfer_first=True)


@story
def a_transfer_without_a_left_is_not_the_end(stage: Stage) -> None:
    talk = with_agent(stage)
    stage.sandbox(calls.transfer(talk.id, "102", left_event=False))
    becomes(talk, "queued")


@story
def an_agent_whose_joining_is_never_told_is_known_by_the_assignment(stage: Stage) -> None:
    talk = waiting(stage)
    stage.sandbox(calls.accept(talk.id, "agent-3", joined_event=False))
    becomes(talk, "active")
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")


@story
def events_that_come_twice_and_out_of_order_change_nothing(stage: Stage) -> None:
    talk = stage.talk("agents")
    stage.sandbox(calls.add_fault(WebhookDuplicate(conversation=talk.id, copies=3)))
    stage.sandbox(calls.add_fault(WebhookReorder(conversation=talk.id, hold_ms=300, every=2)))
    talk.say("a person please")
    becomes(talk, "queued")
    stage.sandbox(calls.accept(talk.id))
    stage.sandbox(calls.agent_says(talk.id, "hello"))
    becomes(talk, "active")
    stage.sandbox(calls.transfer(talk.id, "103"))
    becomes(talk, "queued")
    stage.sandbox(calls.accept(talk.id, "agent-2"))
    becomes(talk, "active")
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")
    talk.said(*WAITING, "completed [agent: hello]")
    assert handover(talk)["transfers"] == 1


@story
def the_user_stops_waiting_by_the_quick_reply(stage: Stage) -> None:
    talk = waiting(stage)
    stage.sandbox(calls.quick_reply(talk.id, 1))
    becomes(talk, "cancelled")
    talk.said(*WAITING, "cancelled [user: Stop waiting]")
    view = stage.sandbox(calls.conversation(talk.id))
    assert view.assignment == {"type": "script", "id": "2001"}
    talk.say("next question")
    talk.said(*WAITING, "cancelled [user: Stop waiting]", "Back with next question")


@story
def the_user_stops_waiting_in_words_while_an_agent_is_there(stage: Stage) -> None:
    talk = with_agent(stage)
    talk.say("STOP waiting")
    becomes(talk, "cancelled")
    talk.said(*WAITING, "cancelled [user: STOP waiting]")
    talk.say("alone again")
    talk.said(*WAITING, "cancelled [user: STOP waiting]", "Back with alone again")


@story
def nobody_comes(stage: Stage) -> None:
    talk = stage.talk("impatient")
    talk.say("a person please")
    becomes(talk, "timed_out")
    talk.said(*WAITING, "timed_out []")
    assert stage.sandbox(calls.conversation(talk.id)).assignment == {"type": "script", "id": "2001"}


@story
def _8x8_refuses_the_queue(stage: Stage) -> None:
    talk = stage.talk("unknown-queue")
    talk.say("a person please")
    becomes(talk, "failed")
    talk.said("One moment…", "failed []")  # and no "Connecting you…"
    assert "refused with 400" in handover(talk)["reason"]
    talk.say("then not")
    talk.said("One moment…", "failed []", "Back with then not")


@story
def an_assignment_whose_answer_was_lost_does_not_take_the_conversation_from_its_agent(stage: Stage) -> None:
    talk = stage.talk("agents")
    fault = AnswerLost(
        conversation=talk.id, operation="update_conversation", how="hang", hold_ms=2000, count=1
    )
    stage.sandbox(calls.add_fault(fault))
    talk.say("a person please")
    queued = {"type": "queue", "id": "101"}
    eventually(lambda: stage.sandbox(calls.conversation(talk.id)).assignment == queued, within=30)
    stage.sandbox(calls.accept(talk.id, "agent-5"))
    becomes(talk, "active")
    talk.quiet()
    assert (
        len(stage.sandbox(calls.rest_calls(conversation=talk.id, operation="update_conversation")).calls) == 1
    )
    talk.said("One moment…")
    assert [status for status, _ in talk.deliveries()] == ["sent", "withheld", "withheld"]
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")
    talk.said("One moment…", "completed []")


@story
def who_is_sent_to_agents_in_vain_hears_so_although_no_bot_goes_on(stage: Stage) -> None:
    talk = stage.talk("draining")
    stage.sandbox(
        calls.add_fault(RestError(conversation=talk.id, operation="update_conversation", status=400))
    )
    talk.say("hello")
    talk.said("Sorry, something went wrong on our side. Please try again.")
    becomes(talk, "failed")
    assert talk.column("control") == "bot"


@story
def the_bots_handlers_speak_and_close_the_handover_when_the_user_is_silent(stage: Stage) -> None:
    talk = stage.talk("handlers")
    talk.say("a person please")
    becomes(talk, "queued")
    stage.sandbox(calls.accept(talk.id))
    becomes(talk, "active")
    eventually(lambda: "be gentle" in str(stage.sandbox(calls.conversation(talk.id)).user), within=20)
    becomes(talk, "cancelled", within=40)
    talk.said("You are in the queue.", "Still there?", "cancelled: closed by the bot")


@story
def the_bots_own_words_stop_the_waiting(stage: Stage) -> None:
    talk = waiting(stage, "handlers")
    talk.say("never mind")
    becomes(talk, "cancelled")
    eventually(lambda: talk.texts()[-1] == "cancelled: cancelled by the user", within=20)


@story
def a_failing_bot_hands_its_user_over(stage: Stage) -> None:
    talk = waiting(stage, "fails")
    assert talk.texts(1) == ["Sorry!"]
    assert stage.sandbox(calls.conversation(talk.id)).assignment == {"type": "queue", "id": "103"}


@story
def the_conversation_comes_back_to_the_bot_for_a_survey(stage: Stage) -> None:
    talk = with_agent(stage, "survey")
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")
    talk.said(*WAITING, "completed []")
    view = stage.sandbox(calls.conversation(talk.id))
    assert (view.state, view.assignment) == ("active", {"type": "script", "id": "2001"})
    talk.say("five stars")
    talk.said(*WAITING, "completed []", "Back with five stars")


@story
def a_user_who_leaves_ends_it_all(stage: Stage) -> None:
    talk = waiting(stage)
    stage.sandbox(calls.user_leaves(talk.id))
    becomes(talk, "cancelled")
    query = "SELECT end_reason FROM session WHERE conversation_id = $1"
    eventually(lambda: stage.value(query, talk.number) == "user_left", within=10)
    assert talk.column("control") == "bot"


# what others got wrong


@story
def the_connecting_message_is_not_repeated_on_every_message_of_a_waiting_user(stage: Stage) -> None:
    talk = waiting(stage)
    for words in ("hello?", "anybody?", "HELLO?"):
        talk.say(words)
    talk.quiet()
    talk.said(*WAITING)


@story
def a_postback_does_not_start_the_bot_again_neither_waiting_nor_with_an_agent(stage: Stage) -> None:
    talk = waiting(stage)
    stage.sandbox(calls.quick_reply(talk.id, title="Old button", payload="old"))
    stage.sandbox(calls.use_card(talk.id, {"old": True}))
    talk.quiet()
    stage.sandbox(calls.accept(talk.id))
    becomes(talk, "active")
    stage.sandbox(calls.quick_reply(talk.id, title="Old button", payload="old"))
    talk.quiet()
    talk.said(*WAITING)
    assert stage.value("SELECT count(*) FROM dialog WHERE conversation_id = $1", talk.number) == 1


@story
def the_bots_own_messages_coming_back_are_neither_input_nor_doubled(stage: Stage) -> None:
    talk = with_agent(stage)
    stage.sandbox(calls.settled())
    talk.quiet()
    rows = stage.rows("SELECT text FROM message WHERE conversation_id = $1 AND author = 'bot'", talk.number)
    assert sorted(row[0] for row in rows) == sorted(WAITING)
    query = "SELECT count(*) FROM delivery WHERE conversation_id = $1 AND kind = 'message'"
    assert stage.value(query, talk.number) == 2


@story
def a_handover_is_resolved_when_the_agents_leaving_is_all_that_is_told(stage: Stage) -> None:
    talk = with_agent(stage)
    stage.sandbox(calls.add_fault(WebhookDrop(conversation=talk.id, event_type="CONVERSATION_UPDATE")))
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")
    talk.said(*WAITING, "completed []")


@story
def a_handover_is_resolved_when_the_agents_leaving_is_never_told(stage: Stage) -> None:
    talk = with_agent(stage)
    stage.sandbox(calls.add_fault(WebhookDrop(conversation=talk.id, event_type="MEMBERS_CHANGED")))
    stage.sandbox(calls.agent_leaves(talk.id))
    becomes(talk, "completed")
    talk.said(*WAITING, "completed []")


@pytest.fixture(scope="module")
def played(stage: Stage) -> Iterator[dict[str, Future[None]]]:
    """All stories, being played."""
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {play.__name__: pool.submit(play, stage) for play in STORIES}


@pytest.mark.parametrize("name", [play.__name__ for play in STORIES])
def test_story(played: dict[str, Future[None]], name: str) -> None:
    played[name].result(timeout=110)


# what needs the processes for itself


def test_a_worker_that_is_killed_while_users_wait_loses_nothing(stage: Stage) -> None:
    queued, active, cancelling = waiting(stage), with_agent(stage), waiting(stage)
    stage.crash_worker()
    stage.sandbox(calls.accept(queued.id, "agent-4"))
    stage.sandbox(calls.agent_says(queued.id, "I am new here"))
    stage.sandbox(calls.agent_leaves(active.id))
    cancelling.say("stop waiting")
    becomes(queued, "active", within=60)
    becomes(active, "completed", within=60)
    becomes(cancelling, "cancelled", within=60)
    stage.crash_worker()
    stage.sandbox(calls.agent_leaves(queued.id))
    becomes(queued, "completed", within=60)
    queued.said(*WAITING, "completed [agent: I am new here]")
    active.said(*WAITING, "completed []")
    cancelling.said(*WAITING, "cancelled [user: stop waiting]")


def tasks(stage: Stage, talk: Talk) -> set[str]:
    """Names of the task runs of the conversation's runs."""
    names: set[str] = set()
    for run in stage.runs_of(talk):
        wanted = {"task_runs": {"flow_run_id": {"any_": [run["id"]]}}}
        found = stage.prefect.post("/task_runs/filter", json=wanted).raise_for_status().json()
        names |= {task["name"] for task in found}
    return names


def assigned_in_a_run(stage: Stage) -> set[str]:
    """Names of the task runs of a conversation that is handed over while its run is open, the second time
    with a request that is refused first."""
    talk = stage.talk("handlers")
    talk.say("opens the run")
    becomes(talk, "queued")
    eventually(lambda: tasks(stage, talk), within=40, what="an open run")
    talk.say("never mind")
    becomes(talk, "cancelled")
    fault = RestError(conversation=talk.id, operation="update_conversation", status=429, count=1)
    stage.sandbox(calls.add_fault(fault))
    talk.say("a person after all")
    becomes(talk, "queued")
    talk.quiet()
    stage.sandbox(calls.user_leaves(talk.id))
    eventually(lambda: all(run["state"]["type"] != "RUNNING" for run in stage.runs_of(talk)), within=40)
    return tasks(stage, talk)


def test_an_assignment_is_a_task_run_and_its_retries_are_named_for_it(stage: Stage) -> None:
    stage.runs_open()
    found: set[str] = set()
    for _ in range(4):  # a turn does not wait long for its run to open, and not at all after trouble
        found = assigned_in_a_run(stage)
        if {"handover to 102", "retry handover to 102"} <= found:
            return
    raise AssertionError(f"only {found}")
