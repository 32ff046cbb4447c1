"""The sandbox as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from app.sandbox import calls
from app.sandbox.client import SandboxClient


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def started(port: int, data: Path) -> subprocess.Popen[bytes]:
    options = {
        "host": "127.0.0.1",
        "port": port,
        "api_key": "process-test-key",
        "tenant": "acme01",
        "webhook_url": None,
        "log_level": "warning",
    }
    code = (
        "import json, sys; from pathlib import Path; from app.sandbox.main import run; "
        "run(data=Path(sys.argv[2]), **json.loads(sys.argv[1]))"
    )
    return subprocess.Popen([sys.executable, "-c", code, json.dumps(options), str(data)])


def wait_until_up(sandbox: SandboxClient, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            sandbox(calls.health())
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError("the sandbox did not come up")


def test_it_stops_on_sigterm_and_keeps_its_key(tmp_path: Path) -> None:
    kids = []
    for _ in range(2):
        port = free_port()
        process = started(port, tmp_path)
        try:
            with SandboxClient(f"http://127.0.0.1:{port}") as sandbox:
                wait_until_up(sandbox, process)
                kids.append(sandbox(calls.keys()).current)
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        finally:
            process.kill()
            process.wait(5)
    assert kids[0] == kids[1]
    assert (tmp_path / "signing-key.pem").stat().st_mode & 0o077 == 0


def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = started(taken.getsockname()[1], tmp_path)
        assert process.wait(20) != 0
