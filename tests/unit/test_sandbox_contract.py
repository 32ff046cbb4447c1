"""The sandbox answers as 8x8's own description of the Chat Gateway says, where that is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.sandbox import calls
from app.sandbox.faults import JwkString
from tests.sandbox_bench import KEY, OTHER_KEY, TENANT, Bench, bench_running, path

DESCRIPTION = Path(__file__).parents[3] / "shared/8x8/chat-gateway-v1.oas.yml"
if not DESCRIPTION.exists():
    pytest.skip(
        "8x8's description of the Chat Gateway is not in ../shared/8x8 beside the repository",
        allow_module_level=True,
    )

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
VERSION = "Chat Gateway v1.0"
CARD = {
    "contentType": "application/vnd.microsoft.card.adaptive",
    "content": {"type": "AdaptiveCard", "version": "1.3"},
}


def description() -> dict[str, Any]:
    """8x8's description, less what contradicts itself there.

    Lists require `messages`, `cards` or `data` beside the `_embedded` that holds them; times have the format
    `date` and a time of day in the example beside it.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # reads it ten times as fast
    content: dict[str, Any] = yaml.load(DESCRIPTION.read_text(), loader)
    schemas = content["components"]["schemas"]
    for name in ("MessageListResult", "CardsListResult", "ConversationParticipants", "AttachmentsResult"):
        [part] = [each for each in schemas[name]["allOf"] if "required" in each]
        assert set(part["required"]).isdisjoint(part["properties"])
        del part["required"]
    for field in ("startTime", "endTime"):
        assert "T" in schemas["InteractionInfo"]["properties"][field]["example"]
        schemas["InteractionInfo"]["properties"][field]["format"] = "date-time"
    return content


def operations() -> dict[str, Any]:
    """Every call that is described, by method and path."""
    found = {}
    for result in schemathesis.openapi.from_dict(description()).get_all_operations():
        assert isinstance(result, Ok), result
        found[result.ok().label] = result.ok()
    return found


OPERATIONS = operations()


@dataclass
class Scene:
    """A sandbox with one of everything: `parameters` are the path parameters that lead to it."""

    bench: Bench
    parameters: dict[str, str]

    def asked(self, case: Any, *, key: str = KEY) -> int:
        """The status of the answer, which is as described."""
        case.headers = {"x-api-key": key}
        response = case.call(base_url=self.bench.url)
        case.validate_response(response, checks=CHECKS)
        status: int = response.status_code
        return status


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def scene(shared_bench: Bench) -> Scene:
    bench = shared_bench
    bench.fresh()
    conversation = bench.start()
    assert bench.bot_says(conversation, cards=[CARD]).status_code == 202
    [message] = bench.read_back(conversation)
    files = {"attachment": ("a.txt", b"hello", "text/plain")}
    uploaded = bench.http.post(path(conversation, "attachments"), files=files, data={"authorType": "bot"})
    webhook = made(bench, "webhooks", {"name": "w", "uri": bench.sink.url, "notificationVersion": VERSION})
    routing = {"type": "queue", "id": "101"}
    channel = made(
        bench,
        "channels",
        {"name": "c", "type": "ChatAPI", "webHookId": webhook, "routingOptions": routing},
    )
    return Scene(
        bench,
        {
            "conversationId": conversation.id,
            "messageId": message["id"],
            "cardId": message["cards"][0]["id"],
            "attachmentId": uploaded.json()["id"],
            "webhookId": webhook,
            "channelId": channel,
            "tenantId": TENANT,
            "jwkId": bench.control(calls.keys()).current,
        },
    )


def made(bench: Bench, kind: str, body: dict[str, Any]) -> str:
    return str(bench.http.post(f"/chat-gateway/v1/{kind}", json=body).raise_for_status().json()["id"])


def good_body(label: str, scene: Scene) -> Any:
    """A body that the call takes; None for calls without."""
    method, _, place = label.partition(" ")
    webhook = {"name": "new", "uri": scene.bench.sink.url, "notificationVersion": VERSION, "version": VERSION}
    routing = {"type": "queue", "id": "102"}
    channel = {"name": "c", "type": "ChatAPI", "webHookId": scene.parameters["webhookId"]}
    user = {"name": "Ada", "additionalProperties": [{"key": "a", "value": "b"}]}
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "webhooks"): webhook,
        ("PUT", "{webhookId}"): webhook,
        ("POST", "verify"): {"version": VERSION, "uri": scene.bench.sink.url},
        ("POST", "channels"): {**channel, "routingOptions": routing},
        ("PUT", "{channelId}"): {**channel, "routingOptions": routing},
        ("POST", "conversations"): {
            "channelId": scene.parameters["channelId"],
            "user": user,
            "assignment": routing,
            "history": {"messages": [{"authorType": "user", "text": "Earlier"}]},
        },
        ("PUT", "{conversationId}"): {"user": user, "assignment": routing},
        ("PATCH", "{conversationId}"): {"assignment": routing},
        ("POST", "post-agent-assignment"): {
            "type": "webhook",
            "id": scene.parameters["webhookId"],
            "configuration": {"notifyChannelWebhookIfExists": "false", "maxTotalMinutes": 60},
        },
        ("POST", "typing"): {"authorType": "bot"},
        ("POST", "thinking"): {"authorType": "bot", "maxThinkingTimeSeconds": 5},
        ("POST", "read-receipt"): {"authorType": "bot", "readAt": 1713100000000},
        ("PATCH", "user"): {"removed": True},
        ("POST", "messages"): {"authorType": "bot", "text": "Hello", "cards": [CARD]},
        ("POST", "attachments"): {"attachment": b"hello", "authorType": "bot"},
        ("PUT", "action-submit"): {"data": {"a": 1}},
        ("PUT", "action-execute"): {"data": {"a": 1}},
    }
    return bodies.get((method, place.rpartition("/")[2]))


def case_for(label: str, scene: Scene, parameters: dict[str, str] | None = None) -> Any:
    operation = OPERATIONS[label]
    known = scene.parameters if parameters is None else parameters
    names = [parameter.name for parameter in operation.path_parameters]
    options: dict[str, Any] = {"path_parameters": {name: known[name] for name in names}}
    body = good_body(label, scene)
    if body is not None:
        upload = label.startswith("POST") and label.endswith("/attachments")
        options |= {"body": body, "media_type": "multipart/form-data" if upload else "application/json"}
    return operation.Case(**options)


@pytest.mark.parametrize("label", OPERATIONS)
def test_a_good_request_is_answered_as_described(label: str, scene: Scene) -> None:
    if "/jwk/" in label:
        scene.bench.control(calls.add_fault(JwkString()))  # described as a string that holds the key
    assert scene.asked(case_for(label, scene)) in (200, 201, 202, 204)


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_not_there_is_answered_as_described(label: str, scene: Scene) -> None:
    parameters = {**dict.fromkeys(scene.parameters, "none"), "tenantId": TENANT}
    status = scene.asked(case_for(label, scene, parameters))
    assert status == 404 if "{" in label else status < 300


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "/jwk/" not in label])
def test_a_wrong_key_or_tenant_is_answered_as_described(label: str, scene: Scene) -> None:
    assert scene.asked(case_for(label, scene), key="no such key") == 401
    case = case_for(label, scene)
    case.headers = {"x-api-key": OTHER_KEY, "x-8x8-tenant": TENANT}
    response = case.call(base_url=scene.bench.url)
    case.validate_response(response, checks=CHECKS)
    assert response.status_code == 403


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "/jwk/" not in label])
def test_anything_is_answered_as_described(label: str, scene: Scene) -> None:
    operation = OPERATIONS[label]
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) if operation.body else good

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=good | wrong, there=st.booleans())
    def ask(case: Any, there: bool) -> None:
        if there:
            case.path_parameters = {
                name: scene.parameters.get(name, value)
                for name, value in (case.path_parameters or {}).items()
            }
        assert scene.asked(case) < 500

    ask()


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        ("messages", {"authorType": "agent", "text": "Hello"}),
        ("messages", {"text": "Hello"}),
        ("messages", {"authorType": "bot"}),
        ("messages", {"authorType": "bot", "text": "", "cards": [], "attachments": []}),
        ("messages", {"authorType": "bot", "attachments": [{"id": "unknown"}]}),
        ("messages", {"authorType": "bot", "cards": [{"contentType": "text/html", "content": {}}]}),
        ("thinking", {"authorType": "bot", "maxThinkingTimeSeconds": 601}),
        ("", {"user": {"additionalProperties": [{"key": str(n), "value": "x"} for n in range(31)]}}),
        ("", {"assignment": {"type": "queue", "id": "999"}}),
        ("", {"assignment": {"type": "agent", "id": "agent-1"}}),
    ],
)
def test_what_the_gateway_would_refuse_is_refused_and_shows_as_refused(
    rest: str, body: dict[str, Any], scene: Scene
) -> None:
    conversation = scene.bench.control(calls.conversation(scene.parameters["conversationId"]))
    method = "POST" if rest else "PATCH"
    response = scene.bench.http.request(method, path(conversation, rest), json=body)
    assert response.status_code == 400
    [refused] = scene.bench.control(calls.rest_calls(refused=True)).calls
    assert (refused.status, refused.conversation) == (400, conversation.id)
    assert refused.refused
