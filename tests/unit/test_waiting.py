"""`parley sandbox play --wait`: until sandbox, endpoints and a worker are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.commands import waiting
from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor.ports import free_port
from tests.sandbox_bench import TENANT, Bench, bench_running

SOON = 0.5


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@contextmanager
def metrics(*answers: str) -> Iterator[Settings]:
    """An admin port whose metrics are these, one after the other, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (left.pop(0) if len(left) > 1 else left[0]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield Settings(admin_port=server.server_port)
    finally:
        server.shutdown()
        server.server_close()


def workers(number: int) -> str:
    return f"# TYPE parley_workers_alive gauge\nparley_workers_alive {number}.0\nparley_workers_lost 3.0\n"


def test_an_endpoint_is_waited_for_until_it_answers(bench: Bench) -> None:
    left = [503, 404]
    bench.sink.answer = lambda hook: left.pop() if left else 200
    waiting.for_endpoints(bench.control, [TENANT], time.monotonic() + 20)
    assert left == []
    assert {event["eventType"] for event in bench.sink.events()} == {"WEB_HOOK_VERIFY"}
    assert not any("x-8x8-signature" in hook.headers for hook in bench.sink.hooks)


def test_an_endpoint_that_never_answers_is_named(bench: Bench) -> None:
    bench.sink.answer = lambda hook: 404
    with pytest.raises(ConfigurationError, match=f"{TENANT} does not answer: its webhook answers 404"):
        waiting.for_endpoints(bench.control, [TENANT], time.monotonic() + SOON)


def test_a_worker_is_waited_for_until_it_lives() -> None:
    with metrics(workers(0), workers(0), workers(1)) as settings:
        waiting.for_worker(settings, time.monotonic() + 20)
    with metrics(workers(0)) as settings, pytest.raises(ConfigurationError, match="no worker"):
        waiting.for_worker(settings, time.monotonic() + SOON)


def test_where_there_are_no_metrics_no_worker_is_waited_for() -> None:
    waiting.for_worker(Settings(admin_port=free_port()), time.monotonic() + 20)
    with metrics("nothing of the kind") as settings:
        waiting.for_worker(settings, time.monotonic() + 20)
