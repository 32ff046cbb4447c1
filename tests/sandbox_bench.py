"""A sandbox on loopback with an endpoint that takes its webhooks: what the sandbox's tests share."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from app.sandbox import calls
from app.sandbox.client import SandboxClient
from app.sandbox.config import RetryPolicy, SandboxConfig, TenantConfig
from app.sandbox.schema import ConversationView
from app.sandbox.server import running

KEY = "sandbox-test-key-1"
OTHER_KEY = "sandbox-test-key-2"
TENANT = "acme01"
OTHER_TENANT = "beta02"
CUSTOMER = "customer-1"


@dataclass
class Hook:
    """A webhook request as it came, with the time it was answered."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def kind(self) -> str:
        return str(self.event["eventType"])


@dataclass
class Sink:
    """An endpoint: keeps every request, answers what `answer` says (200 unless told)."""

    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    answer: Callable[[Hook], int] = lambda hook: 200

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        return [hook.event for hook in self.hooks if kind in (None, hook.kind)]

    def texts(self) -> list[str]:
        return [event["data"]["text"] for event in self.events("MESSAGE")]

    def forget(self) -> None:
        self.hooks.clear()
        self.answer = lambda hook: 200


@contextlib.contextmanager
def sink_running(port: int = 0) -> Iterator[Sink]:
    """A sink, on a free port unless one is named."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook = Hook(self.path, headers, body, time.monotonic())
            sink.hooks.append(hook)
            self.send_response(sink.answer(hook))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    sink.url = f"http://127.0.0.1:{server.server_port}/8x8/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@dataclass
class Bench:
    """A running sandbox: `control` plays everybody, `http` is the bot's side with its API key."""

    url: str
    sink: Sink
    control: SandboxClient
    http: httpx.Client

    def start(self, *, forget: bool = True, **options: Any) -> ConversationView:
        """A conversation whose first events have come; they are forgotten unless told otherwise."""
        conversation = self.control(calls.start(**options))
        self.settle()
        if forget:
            self.sink.hooks.clear()
        return conversation

    def settle(self) -> None:
        settled = self.control(calls.settled(15))
        assert settled.settled, f"{settled.pending} webhooks are still on their way"

    def bot_says(self, conversation: ConversationView, text: str = "Hello", **more: Any) -> httpx.Response:
        return self.http.post(
            path(conversation, "messages"), json={"authorType": "bot", "text": text, **more}
        )

    def read_back(self, conversation: ConversationView) -> list[dict[str, Any]]:
        response = self.http.get(
            path(conversation, "messages"), params={"sort": "createdAt:asc", "size": 100}
        )
        messages: list[dict[str, Any]] = response.raise_for_status().json()["_embedded"]["messages"]
        return messages

    def fresh(self) -> None:
        self.control(calls.reset())
        self.sink.forget()


def path(conversation: ConversationView, rest: str = "") -> str:
    base = f"/chat-gateway/v1/conversations/{conversation.id}"
    return f"{base}/{rest}" if rest else base


@contextlib.contextmanager
def bench_running() -> Iterator[Bench]:
    """A sandbox with two tenants that share a customer but no key; retries are quick."""
    with sink_running() as sink:
        config = SandboxConfig(
            tenants=[
                TenantConfig(TENANT, KEY, CUSTOMER, {"*": sink.url}),
                TenantConfig(OTHER_TENANT, OTHER_KEY, CUSTOMER, {"*": sink.url}),
            ],
            retry=RetryPolicy(first=0.02, longest=0.1, timeout=2.0, give_up_after=20.0),
        )
        with (
            running(config) as url,
            SandboxClient(url) as control,
            httpx.Client(base_url=url, headers={"x-api-key": KEY}, trust_env=False) as http,
        ):
            yield Bench(url, sink, control, http)
