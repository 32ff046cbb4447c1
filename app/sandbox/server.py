"""Serves a sandbox with uvicorn: for good, or in a thread for as long as a test needs it."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.sandbox.app import create_app
from app.sandbox.config import SandboxConfig
from app.sandbox.rest.gate import TRANSPORT, Gate


class CuttableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol; the ASGI scope carries the connection, so that a fault can cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, object], self.scope)[TRANSPORT] = self.transport


def make_server(app: Gate, *, log_level: str = "warning") -> uvicorn.Server:
    """A uvicorn server for the application; it is given its socket when it is run."""
    config = uvicorn.Config(
        app,
        http=CuttableProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level=log_level,
        log_config=None,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        backlog=2048,
        server_header=False,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
        listening.set_inheritable(False)
    except OSError:
        listening.close()
        raise
    return listening


@contextlib.contextmanager
def running(config: SandboxConfig, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """A sandbox served in a thread, on a free port unless one is named. Yields its base URL."""
    listening = listen(host, port)
    base_url = f"http://{host}:{listening.getsockname()[1]}"
    server = make_server(create_app(replace(config, base_url=base_url, host=host)))
    thread = threading.Thread(target=server.run, args=([listening],), name="sandbox", daemon=True)
    thread.start()
    try:
        _wait_for(lambda: server.started or not thread.is_alive(), 15)
        if not server.started:
            raise RuntimeError("the sandbox did not start")
        yield base_url
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
