"""Each fault does what it says, to whom it says, as often as it says."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from app.sandbox import calls
from app.sandbox.client import ControlError
from app.sandbox.faultbook import FaultBook
from app.sandbox.faults import (
    AnswerLost,
    AssignmentIgnored,
    JwkError,
    JwkString,
    ReadBackLate,
    RequestCut,
    RestDelay,
    RestError,
)
from app.sandbox.schema import ConversationView
from tests.sandbox_bench import OTHER_TENANT, TENANT, Bench, bench_running, path


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.fresh()
    return shared_bench


def statuses(bench: Bench, conversation: ConversationView, number: int) -> list[int]:
    return [bench.bot_says(conversation, str(each)).status_code for each in range(number)]


def texts(bench: Bench, conversation: ConversationView) -> list[str]:
    return [message["text"] for message in bench.read_back(conversation)]


def test_the_next_two_requests_fail_and_store_nothing(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(RestError(status=500, count=2)))
    assert statuses(bench, conversation, 3) == [500, 500, 202]
    assert texts(bench, conversation) == ["2"]


def test_every_third_request_fails_after_the_first_one(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(RestError(status=503, every=3, skip=1)))
    assert statuses(bench, conversation, 8) == [202, 202, 202, 503, 202, 202, 503, 202]


@pytest.mark.parametrize("status", [400, 401, 403, 408, 425, 500, 502, 504])
def test_any_status_can_be_answered_in_8x8s_shape(bench: Bench, status: int) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(RestError(status=status, count=1)))
    response = bench.bot_says(conversation)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["message"]
    assert bench.control(calls.rest_calls(refused=True)).calls == []


def test_too_many_requests_says_when_to_come_back(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(RestError(status=429, retry_after=2.5, count=1)))
    response = bench.bot_says(conversation)
    assert (response.status_code, response.headers["retry-after"]) == (429, "2.5")


def test_a_fault_can_concern_one_conversation_one_tenant_one_operation(bench: Bench) -> None:
    mine, other = bench.start(), bench.start()
    bench.control(calls.set_faults(RestError(conversation=mine.id)))
    assert (bench.bot_says(mine).status_code, bench.bot_says(other).status_code) == (500, 202)
    bench.control(calls.set_faults(RestError(tenant=OTHER_TENANT)))
    assert bench.bot_says(mine).status_code == 202
    bench.control(calls.set_faults(RestError(tenant=TENANT, operation="read_messages")))
    assert bench.bot_says(mine).status_code == 202
    assert bench.http.get(path(mine, "messages")).status_code == 500


def test_answers_can_be_slow(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(RestDelay(ms=300, operation="send_message", count=1)))
    started = time.monotonic()
    bench.bot_says(conversation)
    assert time.monotonic() - started >= 0.3


def test_an_answer_can_be_lost_by_a_cut_after_storing(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(AnswerLost(count=1)))
    with pytest.raises(httpx.RemoteProtocolError):
        bench.bot_says(conversation, "stored")
    assert texts(bench, conversation) == ["stored"]
    [record] = bench.control(calls.rest_calls(operation="send_message")).calls
    assert (record.status, record.faults, record.refused) == (None, ["answer_lost"], False)
    bench.settle()
    assert bench.sink.texts() == ["stored"]


def test_an_answer_can_be_lost_by_a_504_after_storing(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(AnswerLost(how="504", skip=1, count=1)))
    assert statuses(bench, conversation, 3) == [202, 504, 202]
    assert texts(bench, conversation) == ["0", "1", "2"]


def test_an_answer_can_never_come(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(AnswerLost(how="hang", hold_ms=400, count=1)))
    with pytest.raises(httpx.ReadTimeout):
        bench.http.post(path(conversation, "messages"), json={"authorType": "bot", "text": "x"}, timeout=0.2)
    assert texts(bench, conversation) == ["x"]


def test_the_answer_to_an_assignment_can_be_lost(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(AnswerLost(how="504", operation="update_conversation", count=1)))
    body = {"assignment": {"type": "queue", "id": "101"}}
    assert bench.http.patch(path(conversation), json=body).status_code == 504
    assert bench.control(calls.conversation(conversation.id)).queue == "101"


def test_a_refused_request_loses_no_answer(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(AnswerLost(count=1)))
    assert bench.http.post(path(conversation, "messages"), json={}).status_code == 400
    with pytest.raises(httpx.RemoteProtocolError):
        bench.bot_says(conversation)


def test_a_request_can_be_cut_before_anything_happens(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(RequestCut(count=1)))
    with pytest.raises(httpx.RemoteProtocolError):
        bench.bot_says(conversation)
    assert texts(bench, conversation) == []


def test_a_stored_message_can_be_seen_only_later(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(ReadBackLate(ms=400, count=1)))
    stored = time.monotonic()
    statuses(bench, conversation, 2)
    assert texts(bench, conversation) == ["1"]
    while texts(bench, conversation) == ["1"]:
        assert time.monotonic() - stored < 5
    assert time.monotonic() - stored >= 0.4
    assert texts(bench, conversation) == ["0", "1"]


def test_an_assignment_can_be_accepted_and_ignored(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.set_faults(AssignmentIgnored(count=1)))
    body = {"assignment": {"type": "queue", "id": "101"}}
    assert bench.http.patch(path(conversation), json=body).status_code == 202
    bench.settle()
    assert bench.sink.hooks == []
    assert bench.control(calls.conversation(conversation.id)).queue is None


def test_the_key_service_can_fail_a_few_times_or_answer_a_string(bench: Bench) -> None:
    url = f"/chat-gateway/v1/jwk/{bench.control(calls.keys()).current}/public"
    bench.control(calls.set_faults(JwkError(count=2), JwkString(count=1)))
    assert [bench.http.get(url).status_code for _ in range(2)] == [500, 500]
    text = bench.http.get(url).json()
    assert isinstance(text, str)
    assert msgspec.json.decode(text) == bench.http.get(url).json()


def test_faults_are_listed_with_how_often_they_applied_and_can_be_removed(bench: Bench) -> None:
    conversation = bench.start()
    view = bench.control(calls.add_fault(RestError(status=500, every=2, count=1)))
    statuses(bench, conversation, 3)
    [listed] = bench.control(calls.faults()).faults
    assert (listed.id, listed.seen, listed.hits, listed.active) == (view.id, 2, 1, False)
    assert listed.fault == RestError(status=500, every=2, count=1)
    assert bench.control(calls.remove_fault(view.id)).faults == []
    with pytest.raises(ControlError):
        bench.control(calls.remove_fault(view.id))


def test_a_fault_that_makes_no_sense_is_refused(bench: Bench) -> None:
    for wrong in (
        {"kind": "unknown"},
        {"kind": "rest_delay"},
        {"kind": "rest_error", "status": 200},
        {"kind": "rest_error", "operation": "send_mesage"},
        {"kind": "webhook_duplicate", "copies": 1},
        {"kind": "rest_error", "surprise": 1},
    ):
        assert bench.http.post("/sandbox/api/faults", json=wrong).status_code == 400


def test_a_timed_fault_ends_by_itself() -> None:
    now = [100.0]
    book = FaultBook(clock=lambda: now[0])
    book.add(RestError(for_seconds=5))
    assert book.take(RestError) is not None
    assert book.remaining(RestError, None) == 5
    now[0] += 5
    assert book.take(RestError) is None
    assert book.remaining(RestError, None) == 0


def test_of_two_faults_of_a_kind_the_first_that_applies_is_taken() -> None:
    book = FaultBook()
    book.add(RestError(status=500, count=1))
    book.add(RestError(status=503))
    taken = [book.take(RestError) for _ in range(3)]
    assert [fault.status for fault in taken if fault] == [500, 503, 503]
    book.clear()
    assert book.take(RestError) is None
