"""The stream of changes and the page's files, from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.sandbox import calls
from app.sandbox.client import ControlError
from app.sandbox.config import SandboxConfig, TenantConfig
from app.sandbox.faults import RestDelay
from app.sandbox.feed import MOST_WAITING, Change, Watcher
from app.sandbox.page.handlers import FOLDER, TYPES
from app.sandbox.server import running
from app.sandbox.world import World
from tests.sandbox_bench import Bench, bench_running, path


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.fresh()
    return shared_bench


class Stream:
    """An open stream: reads changes until one is found."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self, kind: str, **having: Any) -> dict[str, Any]:
        """The next change of a kind whose data has these values. The read fails after 10 s of silence."""
        name = ""
        for line in self._lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and name == kind:
                data = json.loads(line.removeprefix("data: "))["data"] or {}
                if having.items() <= data.items():
                    return dict(data)
        raise AssertionError("the stream ended")


@pytest.fixture
def stream(bench: Bench) -> Iterator[Stream]:
    with httpx.stream("GET", f"{bench.url}/sandbox/api/stream", timeout=10, trust_env=False) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        opened = Stream(response)
        opened.next("hello")
        yield opened


def test_everything_that_changes_is_told(bench: Bench, stream: Stream) -> None:
    conversation = bench.control(calls.start(user={"name": "Ada"}))
    assert stream.next("conversation", id=conversation.id)["user"] == {"name": "Ada"}
    bench.control(calls.say(conversation.id, "Hello"))
    assert stream.next("message", conversation=conversation.id)["text"] == "Hello"
    told = stream.next("webhook", event_type="MESSAGE", outcome="delivered")
    assert told["attempts"][0]["status"] == 200
    assert bench.http.post(path(conversation, "messages"), json={"authorType": "bot"}).status_code == 400
    assert stream.next("call", operation="send_message")["refused"] is True
    bench.control(calls.user_typing(conversation.id))
    view = stream.next("conversation", typing=["user"])
    assert 0 < view["indicator_ms"] <= 10_000
    bench.control(calls.add_fault(RestDelay(ms=1)))
    stream.next("faults")
    bench.control(calls.reset())
    stream.next("reset")
    again = bench.control(calls.start())
    stream.next("conversation", id=again.id)


def test_a_call_can_be_sent_again_with_the_tenants_key(bench: Bench) -> None:
    conversation = bench.start()
    assert bench.bot_says(conversation, "Once").status_code == 202
    [call] = bench.control(calls.rest_calls(operation="send_message")).calls
    assert call.request_headers["x-api-key"] == "***"
    assert bench.control(calls.resend_call(call.seq)).status == 202
    assert [message["text"] for message in bench.read_back(conversation)] == ["Once", "Once"]
    with pytest.raises(ControlError, match="no call 999999"):
        bench.control(calls.resend_call(999_999))


def test_a_call_that_had_no_good_key_is_sent_again_without_one(bench: Bench) -> None:
    conversation = bench.start()
    refused = httpx.get(bench.url + path(conversation), headers={"x-api-key": "wrong"}, trust_env=False)
    assert refused.status_code == 401
    [call] = bench.control(calls.rest_calls(refused=True)).calls
    assert bench.control(calls.resend_call(call.seq)).status == 401


def test_the_page_is_served_with_a_strict_policy_and_needs_nothing_from_elsewhere(bench: Bench) -> None:
    with httpx.Client(base_url=bench.url, trust_env=False) as http:
        for name in ["", *(f"page/{file.name}" for file in FOLDER.iterdir() if file.suffix in TYPES)]:
            answer = http.get(f"/{name}")
            assert answer.status_code == 200, name
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            if not name.endswith(".svg"):  # an SVG names its own language by an address
                assert "http://" not in answer.text and "https://" not in answer.text, name
        for name in (
            "page/package.json",
            "page/handlers.py",
            "page/..%2fconfig.py",
            "page/vendor/index.html",
        ):
            assert http.get(f"/{name}").status_code == 404, name


def test_other_sites_may_not_use_the_stream(bench: Bench) -> None:
    headers = {"origin": "http://evil.example"}
    assert httpx.get(f"{bench.url}/sandbox/api/stream", headers=headers, trust_env=False).status_code == 403


def test_a_name_that_somebody_else_made_lead_here_is_refused(bench: Bench) -> None:
    """Where Origin and Host are the same only the name tells that the page is another site's."""
    reset = f"{bench.url}/sandbox/api/reset"
    port = bench.url.rpartition(":")[2]
    for host, status in (
        (f"evil.example:{port}", 403),
        (f"127.0.0.1.evil.example:{port}", 403),
        ("", 403),
        (f"localhost:{port}", 201),
        (f"127.0.0.1:{port}", 201),
        (f"[::1]:{port}", 201),
    ):
        headers = {"host": host, "origin": f"http://{host}"}
        assert httpx.post(reset, headers=headers, trust_env=False).status_code == status, host


def test_who_listens_for_everybody_may_be_called_by_any_name() -> None:
    config = SandboxConfig(tenants=[TenantConfig("acme01", "key")])
    with running(config, host="0.0.0.0") as url:
        health = url.replace("0.0.0.0", "127.0.0.1") + "/sandbox/api/health"
        assert httpx.get(health, headers={"host": "sandbox:8088"}, trust_env=False).status_code == 200


async def test_a_watcher_that_falls_far_behind_is_told_to_load_everything_anew() -> None:
    world = World(SandboxConfig(tenants=[TenantConfig("acme01", "key")]))
    watcher = Watcher(world)
    changes = watcher.changes()
    assert await anext(changes) == Change("hello")
    for number in range(MOST_WAITING + 10):
        world.signals.wake(f"conversation-{number}")
    assert await anext(changes) == Change("reset")
    watcher.close()
    world.signals.wake("unheard")
    await world.close()
