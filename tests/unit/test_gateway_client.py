"""Requests to a Chat Gateway that answers, hangs, cuts or isn't there."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from app.endpoints import DeliverySettings, EightXEight, Endpoint
from app.gateway.client import LARGE, GatewayClient, RequestFailed, read_messages
from app.gateway.outcome import InDoubt, Outcome, Refused, Retry, Sent, Unauthorized

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: Any


@dataclass
class Gateway:
    """A server that keeps what it got and behaves as told."""

    url: str
    requests: list[Request] = field(default_factory=list)


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0], headers, json.loads(body) if body else None)


@asynccontextmanager
async def gateway(answer: bytes | None) -> AsyncIterator[Gateway]:
    """Answers every request with these bytes and then closes; None: never answers."""
    found = Gateway("")
    finished = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            found.requests.append(await _request(reader))
            if answer is None:
                await finished.wait()
            else:
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        finished.set()
        server.close()


def reply(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def endpoint(url: str, *, tenant: str | None = "acme01", timeout: float = 5.0) -> Endpoint:
    return Endpoint(
        name="support",
        token="t" * 16,
        flow="bots:echo",
        eightxeight=EightXEight(base_url=url, api_key=SecretStr("key-1"), tenant=tenant),
        deliveries=DeliverySettings(timeout=timeout),
    )


@pytest.fixture
async def client() -> AsyncIterator[GatewayClient]:
    found = GatewayClient()
    yield found
    await found.aclose()


async def test_a_message_is_posted_with_key_and_tenant(client: GatewayClient) -> None:
    async with gateway(reply(202)) as server:
        result = await client.send(endpoint(server.url), "a/b c", {"authorType": "bot", "text": "hi"})
    assert result == Sent(202)
    [request] = server.requests
    assert request.line == "POST /chat-gateway/v1/conversations/a%2Fb%20c/messages HTTP/1.1"
    assert request.headers["x-api-key"] == "key-1"
    assert request.headers["x-8x8-tenant"] == "acme01"
    assert request.headers["content-type"] == "application/json"
    assert request.body == {"authorType": "bot", "text": "hi"}


async def test_no_tenant_is_named_where_none_is_set(client: GatewayClient) -> None:
    async with gateway(reply(202)) as server:
        await client.send(endpoint(server.url, tenant=None), "c", {})
    assert "x-8x8-tenant" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(429, b"", "retry-after: 3"), Retry(3.0, 429, "HTTP 429")),
        (reply(401), Unauthorized(401, "HTTP 401")),
        (reply(500), InDoubt(500, "HTTP 500")),
        (reply(400, b'{"errors":[{"code":"bad","message":"secret"}]}'), Refused(400, "HTTP 400 bad")),
        (reply(302, b"", "location: http://127.0.0.1:1/"), Retry(None, 302, "HTTP 302")),
        (b"", InDoubt(None, "RemoteProtocolError")),
        (b"HTTP/1.1 2", InDoubt(None, "RemoteProtocolError")),
        (b"HTTP/1.1 202 OK\r\ncontent-length: 10\r\n\r\nab", Sent(202)),
        (reply(202, b"x" * 1_000_000), Sent(202)),
    ],
)
async def test_an_answer_is_classified(client: GatewayClient, answer: bytes, expected: Outcome) -> None:
    async with gateway(answer) as server:
        assert await client.send(endpoint(server.url), "c", {"text": "hi"}) == expected


async def test_an_answer_that_never_comes_leaves_it_in_doubt_after_the_time_limit(
    client: GatewayClient,
) -> None:
    async with gateway(None) as server:
        async with asyncio.timeout(3):
            result = await client.send(endpoint(server.url, timeout=0.2), "c", {"text": "hi"})
    assert isinstance(result, InDoubt)


async def test_an_answer_that_trickles_in_ends_at_the_time_limit(client: GatewayClient) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(3):
        result = await client.send(endpoint(f"http://127.0.0.1:{port}", timeout=0.3), "c", {"text": "hi"})
    server.close()
    assert isinstance(result, InDoubt)


async def test_a_refused_connection_is_retried_because_nothing_was_sent(client: GatewayClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = await client.send(endpoint(f"http://127.0.0.1:{port}"), "c", {"text": "hi"})
    assert result == Retry(None, None, "ConnectError")


async def test_an_unknown_host_is_retried_because_nothing_was_sent(client: GatewayClient) -> None:
    result = await client.send(endpoint("http://nowhere.invalid", timeout=2), "c", {"text": "hi"})
    assert isinstance(result, Retry)
    assert result.status is None


async def test_another_key_is_used_as_soon_as_the_endpoint_is_another(client: GatewayClient) -> None:
    async with gateway(reply(202)) as server:
        first = endpoint(server.url)
        await client.send(first, "c", {})
        settings = first.eightxeight.model_copy(update={"api_key": SecretStr("key-2")})
        await client.send(first.model_copy(update={"eightxeight": settings}), "c", {})
    assert [request.headers["x-api-key"] for request in server.requests] == ["key-1", "key-2"]


async def test_the_other_calls_say_what_8x8_documents(client: GatewayClient) -> None:
    async with gateway(reply(204)) as server:
        here = endpoint(server.url)
        await client.assign(here, "c", {"type": "queue", "id": "101"}, user={"name": "N"})
        await client.post_agent_assignment(here, "c", "hook", max_total_minutes=60)
        await client.remove_user(here, "c")
        await client.typing(here, "c")
        await client.thinking(here, "c", seconds=9999)
        await client.read_receipt(here, "c", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    prefix = "/chat-gateway/v1/conversations/c"
    assert [(request.line.removesuffix(" HTTP/1.1"), request.body) for request in server.requests] == [
        (f"PATCH {prefix}", {"assignment": {"type": "queue", "id": "101"}, "user": {"name": "N"}}),
        (
            f"POST {prefix}/post-agent-assignment",
            {
                "type": "webhook",
                "id": "hook",
                "configuration": {"notifyChannelWebhookIfExists": "false", "maxTotalMinutes": 60},
            },
        ),
        (f"PATCH {prefix}/participants/user", {"removed": True}),
        (f"POST {prefix}/typing", {"authorType": "bot"}),
        (f"POST {prefix}/thinking", {"authorType": "bot", "maxThinkingTimeSeconds": 600}),
        (f"POST {prefix}/read-receipt", {"authorType": "bot", "readAt": 1000}),
    ]


async def test_messages_are_read_back_newest_first(client: GatewayClient) -> None:
    page = {
        "_embedded": {
            "messages": [
                {"id": "1", "text": "a", "author": {"type": "user"}, "createdAt": "2024-05-01T12:00:00Z"},
                {"id": "2", "text": "b", "author": {"type": "BOT"}, "createdAt": "2024-05-01T12:00:01Z"},
            ]
        }
    }
    async with gateway(reply(200, json.dumps(page).encode())) as server:
        newest, oldest = await client.messages(endpoint(server.url), "c", 20)
    query = "/chat-gateway/v1/conversations/c/messages?sort=createdAt:desc&size=20"
    assert server.requests[0].line == f"GET {query} HTTP/1.1"
    assert (newest.id, newest.text, newest.author_type) == ("2", "b", "bot")
    assert newest.created_at == datetime(2024, 5, 1, 12, 0, 1, tzinfo=UTC)
    assert oldest.id == "1"


@pytest.mark.parametrize(
    "page",
    [{}, {"_embedded": None}, {"_embedded": {"messages": 3}}, {"_embedded": {"messages": [None, "x"]}}],
)
def test_a_page_without_messages_is_an_empty_one(page: dict[str, Any]) -> None:
    assert read_messages(page) == []


def test_a_strange_message_is_read_as_far_as_it_goes() -> None:
    [message] = read_messages({"messages": [{"id": 7, "text": None, "author": "x", "createdAt": "soon"}]})
    assert (message.id, message.text, message.author_type, message.created_at) == ("7", "", None, None)


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"<html>"),
        reply(200, b"[]"),
        reply(500),
        reply(404),
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}",
        reply(200, b'{"a": "' + b"x" * LARGE + b'"}'),
    ],
)
async def test_what_cannot_be_read_back_is_an_error(client: GatewayClient, answer: bytes) -> None:
    async with gateway(answer) as server:
        with pytest.raises(RequestFailed):
            await client.messages(endpoint(server.url), "c")


async def test_a_gateway_that_hangs_holds_up_no_other(client: GatewayClient) -> None:
    async with gateway(None) as hanging, gateway(reply(202)) as working:
        stuck = [asyncio.create_task(client.send(endpoint(hanging.url), "c", {})) for _ in range(70)]
        other = endpoint(working.url).model_copy(update={"name": "other"})
        async with asyncio.timeout(2):
            assert await client.send(other, "c", {}) == Sent(202)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
