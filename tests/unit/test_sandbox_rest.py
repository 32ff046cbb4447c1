"""The sandbox's REST interface: what it takes, gives, and refuses the way 8x8 does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.sandbox import calls
from tests.sandbox_bench import OTHER_KEY, OTHER_TENANT, TENANT, Bench, bench_running, path

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.fresh()
    return shared_bench


def test_without_a_good_key_access_is_denied(bench: Bench) -> None:
    conversation = bench.start()
    for headers in ({"x-api-key": ""}, {"x-api-key": "wrong"}, {"x-api-key": "schlüssel".encode()}):
        response = bench.http.get(path(conversation), headers=headers)  # type: ignore[arg-type]
        assert response.status_code == 401
        assert response.headers["content-type"] == PROBLEM
        assert response.json()["message"] == "Access Denied"
        assert response.json()["errors"] == [{"message": "Access Denied", "code": "access_denied"}]
        assert response.json()["referenceId"]


def test_another_tenant_is_forbidden_and_its_conversations_are_unknown(bench: Bench) -> None:
    conversation = bench.start()
    response = bench.http.get(path(conversation), headers={"X-8x8-Tenant": OTHER_TENANT})
    assert response.status_code == 403
    assert response.json()["message"] == "The tenant does not belong to customer."
    assert "X-8x8-Tenant" in response.json()["errors"][0]
    assert bench.http.get(path(conversation), headers={"X-8x8-Tenant": TENANT}).status_code == 200
    foreign = bench.http.get(path(conversation), headers={"x-api-key": OTHER_KEY})
    assert foreign.status_code == 404


def test_the_tenant_header_is_needed_where_a_key_is_good_for_several(bench: Bench) -> None:
    conversation = bench.start()
    bench.control(calls.put_tenant("gamma03", "sandbox-test-key-1", {}))
    response = bench.http.get(path(conversation))
    assert response.status_code == 403
    assert bench.http.get(path(conversation), headers={"x-8x8-tenant": TENANT}).status_code == 200
    bench.control(calls.put_tenant("gamma03", "another-key", {}))


def test_a_message_is_accepted_without_a_body_and_read_back(bench: Bench) -> None:
    conversation = bench.start()
    response = bench.bot_says(conversation, "Hello")
    assert (response.status_code, response.content) == (202, b"")
    [message] = bench.read_back(conversation)
    assert message["text"] == "Hello"
    assert message["author"]["type"] == "bot"
    assert message["createdAt"].endswith("Z")
    one = bench.http.get(path(conversation, f"messages/{message['id']}"))
    assert one.json() == message


def test_messages_are_paged_newest_first_unless_asked_otherwise(bench: Bench) -> None:
    conversation = bench.start()
    for number in range(5):
        bench.bot_says(conversation, str(number))
    url = path(conversation, "messages")

    def texts(**query: Any) -> list[str]:
        response = bench.http.get(url, params=query)
        assert response.headers["content-type"] == "application/hal+json"
        return [message["text"] for message in response.json()["_embedded"]["messages"]]

    assert texts() == ["4", "3", "2", "1", "0"]
    assert texts(sort="createdAt:desc", size=2) == ["4", "3"]
    assert texts(sort="createdAt:desc", size=2, page=2) == ["0"]
    assert texts(sort="createdAt:asc", size=3) == ["0", "1", "2"]
    page = bench.http.get(url, params={"size": 2}).json()["page"]
    assert page == {"size": 2, "number": 0, "totalElements": 5, "totalPages": 3}


@pytest.mark.parametrize(
    "query", ["size=0", "size=x", "size=-1", "page=-1", "sort=text:asc", "sort=createdAt"]
)
def test_paging_that_makes_no_sense_is_refused(bench: Bench, query: str) -> None:
    conversation = bench.start()
    response = bench.http.get(path(conversation, f"messages?{query}"))
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"]


ADAPTIVE = "application/vnd.microsoft.card.adaptive"


@pytest.mark.parametrize(
    "body",
    [
        {"text": "no author"},
        {"authorType": "agent", "text": "not allowed"},
        {"authorType": "bot"},
        {"authorType": "bot", "text": ""},
        {"authorType": "bot", "text": 5},
        {"authorType": "bot", "text": "x", "attachments": [{"id": "unknown"}]},
        {"authorType": "bot", "text": "x", "attachments": "no list"},
        {"authorType": "bot", "cards": [{"contentType": "text/html", "content": {}}]},
        {"authorType": "bot", "cards": [{"contentType": ADAPTIVE, "content": "x"}]},
        {"authorType": "bot", "cards": [{"contentType": ADAPTIVE, "content": {"type": "Card"}}]},
        {"authorType": "bot", "cards": [{"contentType": "application/8x8.quick.replies", "content": {}}]},
        {"authorType": "bot", "text": "x", "externalProvider": {"name": "X", "externalMessageId": "1"}},
        {"authorType": "bot", "externalProvider": {"name": "Y", "externalMessageId": "1"}},
        [],
    ],
)
def test_a_message_the_gateway_would_refuse_is_refused(bench: Bench, body: object) -> None:
    conversation = bench.start()
    response = bench.http.post(path(conversation, "messages"), json=body)
    assert response.status_code == 400
    assert response.headers["content-type"] == PROBLEM
    assert set(response.json()["errors"]) == {"code", "message"}
    assert bench.read_back(conversation) == []
    [record] = bench.control(calls.rest_calls(operation="send_message", refused=True)).calls
    assert record.status == 400


def test_broken_json_is_refused(bench: Bench) -> None:
    conversation = bench.start()
    response = bench.http.post(path(conversation, "messages"), content=b'{"authorType"')
    assert response.status_code == 400
    assert response.json()["errors"]["code"] == "invalid_json_object"


def test_a_message_to_an_unknown_conversation_is_not_found(bench: Bench) -> None:
    response = bench.http.post(
        "/chat-gateway/v1/conversations/nowhere/messages", json={"authorType": "bot", "text": "x"}
    )
    assert response.status_code == 404
    assert response.json()["errors"] == ["Resource of type Conversation with id nowhere was not found."]


def test_every_card_type_is_taken_and_shown_with_an_id(bench: Bench) -> None:
    conversation = bench.start()
    card = {"contentType": ADAPTIVE, "content": {"type": "AdaptiveCard", "version": "1.3", "body": []}}
    other = [{"contentType": kind, "content": {"a": 1}} for kind in ("Interactive", "Location", "Carousel")]
    assert bench.bot_says(conversation, cards=[card, *other]).status_code == 202
    [message] = bench.read_back(conversation)
    assert message["cards"][0]["contentType"] == ADAPTIVE
    assert len({shown["id"] for shown in message["cards"]}) == 4
    cards = bench.http.get(path(conversation, f"messages/{message['id']}/cards")).json()
    assert len(cards["_embedded"]["cards"]) == 4
    card_id = message["cards"][0]["id"]
    submit = f"/api/v1/tenant/{TENANT}/conversations/{conversation.id}/cards/{card_id}/action-submit"
    assert bench.http.put(submit, json={"name": "8x8"}).status_code == 204
    [shown] = bench.read_back(conversation)
    assert shown["cards"][0]["actionSubmitted"] is True
    bench.settle()
    [event] = bench.sink.events("ACTIVITY")
    assert event["data"]["value"] == {"type": "Action.Submit", "data": {"name": "8x8"}}


def test_an_assignment_to_a_queue_is_accepted_and_told(bench: Bench) -> None:
    conversation = bench.start(user={"name": "Ada", "additionalProperties": [{"key": "a", "value": "1"}]})
    body = {
        "assignment": {"type": "queue", "id": "102"},
        "user": {"email": "ada@example.com", "additionalProperties": [{"key": "b", "value": "2"}]},
    }
    response = bench.http.patch(path(conversation), json=body)
    assert response.status_code == 202
    assert response.json()["assignment"] == {"type": "queue", "id": "102"}
    bench.settle()
    update, queued = bench.sink.events()
    assert update["data"]["assignment"] == {"type": "queue", "id": "102"}
    assert update["data"]["state"] == "active"
    assert queued["eventType"] == "QUEUED"
    assert queued["data"] == {"queueId": "102", "queueName": "Sales"}
    user = bench.http.get(path(conversation)).json()["user"]
    assert user["name"] == "Ada"
    assert user["additionalProperties"] == [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"assignment": {"type": "queue", "id": "999"}}, "invalid_queue"),
        ({"assignment": {"type": "script", "id": "999"}}, "invalid_script"),
        ({"assignment": {"type": "agent", "id": "agent-1"}}, "invalid_assignment"),
        (
            {"user": {"additionalProperties": [{"key": str(n), "value": ""} for n in range(31)]}},
            "too_many_properties",
        ),
        ({"user": {"additionalProperties": [{"key": "a", "value": 1}]}}, "invalid_user"),
        ({"user": "Ada"}, "invalid_user"),
    ],
)
def test_an_update_the_gateway_would_refuse_is_refused(bench: Bench, body: object, code: str) -> None:
    conversation = bench.start()
    response = bench.http.patch(path(conversation), json=body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == code
    bench.settle()
    assert bench.sink.hooks == []


def test_put_replaces_the_user(bench: Bench) -> None:
    conversation = bench.start(user={"name": "Ada", "email": "ada@example.com"})
    assert bench.http.put(path(conversation), json={"user": {"name": "Bob"}}).status_code == 202
    assert bench.http.get(path(conversation)).json()["user"] == {"name": "Bob"}


def test_a_conversation_of_someone_elses_channel_is_created_with_its_history(bench: Bench) -> None:
    hook = {"name": "mine", "uri": bench.sink.url, "notificationVersion": "Chat Gateway v1.0"}
    webhook = bench.http.post("/chat-gateway/v1/webhooks", json=hook).json()
    routing = {"type": "queue", "id": "101"}
    wanted = {"name": "chat", "type": "ChatAPI", "webHookId": webhook["id"], "routingOptions": routing}
    channel = bench.http.post("/chat-gateway/v1/channels", json=wanted).json()
    body = {
        "channelId": channel["id"],
        "user": {"name": "Ada"},
        "history": {
            "messages": [{"authorType": "user", "text": "Hi"}, {"authorType": "bot", "text": "Yes?"}]
        },
    }
    response = bench.http.post("/chat-gateway/v1/conversations", json=body)
    assert response.status_code == 202
    identifier = response.json()["conversationId"]
    bench.settle()
    assert [event["eventType"] for event in bench.sink.events()] == [
        "CONVERSATION_UPDATE",
        "CONVERSATION_UPDATE",
        "QUEUED",
    ]
    shown = bench.http.get(f"/chat-gateway/v1/conversations/{identifier}/messages?sort=createdAt:asc").json()
    assert [message["text"] for message in shown["_embedded"]["messages"]] == ["Hi", "Yes?"]
    too_long = body | {"history": {"messages": [{"authorType": "user", "text": "x"}] * 201}}
    assert bench.http.post("/chat-gateway/v1/conversations", json=too_long).status_code == 400
    assert bench.http.post("/chat-gateway/v1/conversations", json={"user": {}}).status_code == 400
    unnamed = {"channelId": channel["id"]}
    assert bench.http.post("/chat-gateway/v1/conversations", json=unnamed).status_code == 400


def test_conversations_are_listed_paged_and_filtered(bench: Bench) -> None:
    started = [bench.start(user={"name": name}) for name in ("Ada", "Bob", "Eve")]
    url = "/chat-gateway/v1/conversations"
    listed = bench.http.get(url).json()
    identifiers = [conversation["id"] for conversation in listed["_embedded"]["conversations"]]
    assert identifiers == sorted(conversation.id for conversation in started)
    wanted = {"filter": "state==active;(user.name==A*,user.name==Eve)"}
    found = bench.http.get(url, params=wanted).json()["_embedded"]["conversations"]
    assert {conversation["user"]["name"] for conversation in found} == {"Ada", "Eve"}
    assert bench.http.get(url, params={"filter": "user.name~Ada"}).status_code == 400
    assert bench.http.get(url, params={"filter": "((a==1)"}).status_code == 400


def test_indicators_are_shown_to_the_user(bench: Bench) -> None:
    conversation = bench.start()
    typing = path(conversation, "typing")
    assert bench.http.post(typing, json={"authorType": "bot"}).status_code == 204
    assert bench.http.post(path(conversation, "thinking")).status_code == 204
    shown = bench.control(calls.conversation(conversation.id))
    assert (shown.typing, shown.thinking) == (["bot"], True)
    bench.bot_says(conversation)
    shown = bench.control(calls.conversation(conversation.id))
    assert (shown.typing, shown.thinking) == ([], False)
    receipt = path(conversation, "read-receipt")
    assert bench.http.post(receipt, json={"authorType": "bot", "readAt": 5}).status_code == 204
    assert bench.control(calls.conversation(conversation.id)).read_at == {"bot": 5}


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("typing", {}),
        ("typing", {"authorType": "agent"}),
        ("thinking", {"maxThinkingTimeSeconds": 0}),
        ("thinking", {"maxThinkingTimeSeconds": 601}),
        ("thinking", {"authorType": "user"}),
        ("read-receipt", {"authorType": "bot"}),
        ("read-receipt", {"authorType": "user", "readAt": 1}),
        ("post-agent-assignment", {"type": "webhook"}),
        ("post-agent-assignment", {"id": "1", "configuration": {"maxTotalMinutes": 10}}),
        ("post-agent-assignment", {"id": "1", "configuration": {"notifyChannelWebhookIfExists": False}}),
    ],
)
def test_indicators_and_assignments_out_of_bounds_are_refused(bench: Bench, call: str, body: object) -> None:
    conversation = bench.start()
    response = bench.http.post(path(conversation, call), json=body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "invalid_parameter"


def test_files_go_up_and_down(bench: Bench) -> None:
    conversation = bench.start()
    url = path(conversation, "attachments")
    parts = {"attachment": ("note.txt", b"hello", "text/plain")}
    response = bench.http.post(url, files=parts, data={"authorType": "bot"})
    assert response.status_code == 200
    file = response.json()
    assert (file["filename"], file["sizeInBytes"], file["type"]) == ("note.txt", 5, "text/plain")
    assert bench.http.get(f"{url}/{file['id']}").json() == file
    content = bench.http.get(f"{url}/{file['id']}/content")
    assert content.content == b"hello"
    assert "note.txt" in content.headers["content-disposition"]
    assert len(bench.http.get(url).json()["_embedded"]["attachments"]) == 1
    assert (
        bench.http.post(
            path(conversation, "messages"), json={"authorType": "bot", "attachments": [{"id": file["id"]}]}
        ).status_code
        == 202
    )
    [message] = bench.control(calls.messages(conversation.id, author="bot")).messages
    assert message.attachments[0].file_name == "note.txt"
    assert bench.http.get(f"{url}/unknown").status_code == 404
    assert bench.http.post(url, json={}).status_code == 400
    assert bench.http.post(url, files={"other": ("a", b"b")}).status_code == 400
    assert bench.http.post(url, files=parts, data={"authorType": "agent"}).status_code == 400


def test_the_user_can_be_taken_out_which_ends_the_interaction(bench: Bench) -> None:
    conversation = bench.start()
    url = path(conversation, "participants/user")
    assert bench.http.patch(url, json={"removed": False}).status_code == 400
    assert bench.http.patch(url, json={"removed": True}).status_code == 204
    bench.settle()
    left, idle = bench.sink.events()
    assert left["data"]["memberType"] == "user"
    assert left["data"]["change"] == "left"
    assert idle["data"]["state"] == "idle"
    people = bench.http.get(path(conversation, "participants")).json()["_embedded"]["participants"]
    assert [one["removed"] for one in people if one["type"] == "user"] == [True]
    [interaction] = bench.http.get(path(conversation, "interactions")).json()["_embedded"]["interactions"]
    assert interaction["id"].startswith("int-")
    assert interaction["endTime"]


def test_webhooks_and_channels_are_kept(bench: Bench) -> None:
    url = "/chat-gateway/v1/webhooks"
    body = {"name": "mine", "uri": "https://bot.example.com/x", "notificationVersion": "Chat Gateway v1.0"}
    webhook = bench.http.post(url, json=body).json()
    assert webhook["version"] == "Chat Gateway v1.0"
    changed = bench.http.put(f"{url}/{webhook['id']}", json=body | {"name": "yours"}).json()
    assert changed["name"] == "yours"
    found = bench.http.get(url, params={"filter": "name==yours"}).json()
    assert [one["id"] for one in found["_embedded"]["webhooks"]] == [webhook["id"]]
    assert bench.http.get(f"{url}/{webhook['id']}", headers={"x-api-key": OTHER_KEY}).status_code == 404
    for wrong in ({"notificationVersion": None}, {"uri": "nonsense"}, {"name": ""}, {"name": "x" * 257}):
        assert bench.http.post(url, json=body | wrong).status_code == 400
    channels = "/chat-gateway/v1/channels"
    wanted = {"name": "c", "webHookId": webhook["id"], "routingOptions": {"type": "queue", "id": "101"}}
    channel = bench.http.post(channels, json=wanted).json()
    assert (channel["type"], channel["webHookId"]) == ("ChatAPI", webhook["id"])
    renamed = bench.http.put(f"{channels}/{channel['id']}", json=wanted | {"name": "d"}).json()
    assert bench.http.get(f"{channels}/{channel['id']}").json() == renamed
    for wrong_one in ({"webHookId": "0"}, {"routingOptions": {"type": "queue", "id": "0"}}, {"type": "SMS"}):
        assert bench.http.post(channels, json=wanted | wrong_one).status_code == 400
    assert bench.http.delete(f"{channels}/{channel['id']}").status_code == 204
    assert bench.http.delete(f"{url}/{webhook['id']}").status_code == 204
    assert bench.http.get(f"{url}/{webhook['id']}").status_code == 404


def test_verifying_a_webhook_sends_an_unsigned_hello(bench: Bench) -> None:
    url = "/chat-gateway/v1/webhooks/verify"
    assert bench.http.post(url, json={"version": "v2.0", "uri": bench.sink.url}).status_code == 204
    [hook] = bench.sink.hooks
    assert hook.event == {"notificationVersion": "Chat Gateway v1.0", "eventType": "WEB_HOOK_VERIFY"}
    assert not any(name.startswith("x-8x8") for name in hook.headers)
    bench.sink.answer = lambda hook: 500
    assert bench.http.post(url, json={"version": "v2.0", "uri": bench.sink.url}).status_code == 400
    away = {"version": "v2.0", "uri": "http://127.0.0.1:1/"}
    assert bench.http.post(url, json=away).status_code == 400


def test_unknown_paths_and_methods_are_refused_in_8x8s_shape(bench: Bench) -> None:
    unknown = bench.http.get("/chat-gateway/v1/nonsense")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, PROBLEM)
    assert bench.http.delete("/chat-gateway/v1/conversations").status_code == 405
    missing = bench.http.get("/chat-gateway/v1/jwk/unknown/public")
    assert missing.status_code == 404


def test_a_request_that_is_too_big_is_refused(bench: Bench) -> None:
    conversation = bench.start()
    response = bench.http.post(path(conversation, "messages"), content=b"x" * (33 * 1024 * 1024))
    assert response.status_code == 413


def test_the_log_of_calls_hides_the_key(bench: Bench) -> None:
    conversation = bench.start()
    bench.bot_says(conversation)
    [record] = bench.control(calls.rest_calls(conversation=conversation.id)).calls
    assert record.request_headers["x-api-key"] == "***"
    assert record.operation == "send_message"
    assert record.status == 202
    assert "Hello" in record.request_body


def test_other_sites_pages_can_not_control_the_sandbox(bench: Bench) -> None:
    foreign = {"origin": "https://evil.example.com"}
    assert bench.http.post("/sandbox/api/reset", headers=foreign).status_code == 403
    assert bench.http.post("/sandbox/api/reset", headers={"origin": bench.url}).status_code == 201
