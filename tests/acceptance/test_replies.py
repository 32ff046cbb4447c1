"""Replies reach the user once and in order, whatever 8x8 answers.

Each story has a conversation of its own; all are played at the same time, and each test looks at one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from app.sandbox import calls
from app.sandbox.faults import AnswerLost, EchoOff, ReadBackLate, RequestCut, RestDelay, RestError
from tests.acceptance.running import eventually
from tests.acceptance.stage import Stage

Story = Callable[[Stage], None]
STORIES: list[Story] = []


def story(play: Story) -> Story:
    """Play it at the same time as all others."""
    STORIES.append(play)
    return play


@story
def three_identical_replies_with_the_seconds_answer_lost(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.add_fault(AnswerLost(conversation=talk.id, skip=1, count=1)))
    talk.say("Same.|Same.|Same.")
    talk.said("Same.", "Same.", "Same.")
    assert talk.deliveries() == [("sent", 1), ("sent", 1), ("sent", 1)]


@story
def a_lost_answer_is_settled_by_reading_where_no_echo_comes(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.add_fault(EchoOff(conversation=talk.id)))
    stage.sandbox(calls.add_fault(AnswerLost(conversation=talk.id, skip=1, count=1)))
    talk.say("Same.|Same.|Same.")
    talk.said("Same.", "Same.", "Same.")
    assert talk.deliveries() == [("sent", 1), ("sent", 1), ("sent", 1)]
    how = "SELECT confirmed_by FROM delivery WHERE conversation_id = $1 ORDER BY place"
    assert [row[0] for row in stage.rows(how, talk.number)] == [None, "read_back", None]


@story
def a_message_that_can_be_read_back_only_later_is_not_doubled(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.add_fault(EchoOff(conversation=talk.id)))
    stage.sandbox(calls.add_fault(ReadBackLate(conversation=talk.id, ms=3000, count=1)))
    stage.sandbox(calls.add_fault(AnswerLost(conversation=talk.id, count=1)))
    talk.say("late|next")
    talk.said("late", "next")
    assert talk.deliveries() == [("sent", 1), ("sent", 1)]


@story
def a_504_after_storing_is_not_sent_again(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.add_fault(AnswerLost(conversation=talk.id, how="504", count=1)))
    talk.say("stored|next")
    talk.said("stored", "next")
    assert talk.deliveries() == [("sent", 1), ("sent", 1)]
    assert talk.outcomes() == ["in_doubt", "sent"]


@story
def twice_500_then_202_is_sent_once(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.add_fault(RestError(conversation=talk.id, operation="send_message", count=2)))
    talk.say("third time|next")
    talk.said("third time", "next", within=40)
    assert talk.deliveries() == [("sent", 3), ("sent", 1)]


@story
def a_cut_before_anything_was_stored_is_sent_again(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.add_fault(RequestCut(conversation=talk.id, operation="send_message", count=1)))
    talk.say("cut|next")
    talk.said("cut", "next")
    assert talk.deliveries() == [("sent", 2), ("sent", 1)]


@story
def a_429_is_tried_again_when_it_says_and_not_before(stage: Stage) -> None:
    talk = stage.talk("parrot")
    limit = RestError(conversation=talk.id, operation="send_message", status=429, retry_after=3, count=1)
    stage.sandbox(calls.add_fault(limit))
    talk.say("slowly|next")
    talk.said("slowly", "next")
    assert talk.deliveries() == [("sent", 2), ("sent", 1)]
    sent = stage.sandbox(calls.rest_calls(conversation=talk.id, operation="send_message")).calls
    assert [call.status for call in sent] == [429, 202, 202]
    assert sent[1].at - sent[0].at >= 3000


@story
def what_the_user_writes_meanwhile_is_answered_after_the_delivery_that_is_tried_again(stage: Stage) -> None:
    talk = stage.talk("parrot")
    limit = RestError(conversation=talk.id, operation="send_message", status=429, retry_after=2, count=1)
    stage.sandbox(calls.add_fault(limit))
    for word in ("one", "two", "three"):
        talk.say(word)
    talk.said("one", "two", "three")


@story
def slow_answers_keep_the_order(stage: Stage) -> None:
    talk = stage.talk("parrot")
    stage.sandbox(calls.add_fault(RestDelay(conversation=talk.id, operation="send_message", ms=300, every=2)))
    talk.say("a|b|c")
    talk.say("d|e")
    talk.said("a", "b", "c", "d", "e")


@story
def a_400_is_a_dead_letter_that_can_be_redriven_and_the_next_goes_on(stage: Stage) -> None:
    talk = stage.talk("parrot")
    fault = RestError(conversation=talk.id, operation="send_message", status=400, count=1)
    stage.sandbox(calls.add_fault(fault))
    talk.say("refused|next")
    talk.said("next")
    assert talk.deliveries() == [("dead", 1), ("sent", 1)]
    incident = "SELECT kind FROM incident WHERE conversation_id = $1"
    assert stage.value(incident, talk.number) == "dead_letter"

    dead = "SELECT id FROM delivery WHERE conversation_id = $1 AND status = 'dead'"
    number = str(stage.value(dead, talk.number))
    listed = stage.parley.run("deliveries", "list", "--endpoint", "parrot")
    assert number in listed.stdout and talk.id in listed.stdout, listed.stderr
    redriven = stage.parley.run("deliveries", "redrive", number)
    assert redriven.stdout.strip() == f"1 redriven: {number}", redriven.stderr
    talk.said("next", "refused")
    assert talk.deliveries() == [("sent", 1), ("sent", 2)]


@story
def a_401_pauses_the_endpoint_alone_until_a_probe_passes(stage: Stage) -> None:
    talk, other = stage.talk("refused"), stage.talk("refused")
    fault = stage.sandbox(
        calls.add_fault(RestError(tenant="sandbox-refused", operation="send_message", status=401))
    )
    talk.say("one|two")
    paused = "SELECT paused_at IS NOT NULL FROM endpoint_state WHERE endpoint = 'refused'"
    eventually(lambda: stage.value(paused), within=20, what="the pause")
    other.say("three")
    eventually(lambda: other.column("id") and other.deliveries(), within=20, what="a delivery that waits")
    neighbour = stage.talk("parrot")
    neighbour.say("not paused")
    neighbour.said("not paused")
    assert talk.deliveries() == [("waiting", 1), ("waiting", 0)]
    assert other.deliveries() == [("waiting", 0)]
    assert stage.value("SELECT count(*) FROM incident WHERE kind = 'endpoint_paused'") == 1

    stage.sandbox(calls.remove_fault(fault.id))
    stage.rows("UPDATE endpoint_state SET probe_at = now() WHERE endpoint = 'refused'")  # time passes
    talk.said("one", "two", within=40)
    other.said("three")
    assert not stage.value(paused)
    assert stage.value("SELECT resolved_at FROM incident WHERE kind = 'endpoint_paused'") is not None


@pytest.fixture(scope="module")
def played(stage: Stage) -> Iterator[dict[str, Future[None]]]:
    """All stories, being played."""
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {play.__name__: pool.submit(play, stage) for play in STORIES}


@pytest.mark.parametrize("name", [play.__name__ for play in STORIES])
def test_story(played: dict[str, Future[None]], name: str) -> None:
    played[name].result(timeout=110)
