"""The red button, draining, dead air and alerts, with real processes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.sandbox import calls
from tests.acceptance.running import eventually
from tests.acceptance.stage import Stage


def press(stage: Stage, mode: str) -> None:
    """Set the mode of the endpoint `button`, as a person does."""
    done = stage.parley.run("endpoints", "mode", "button", mode)
    assert done.returncode == 0, done.stderr


def test_the_red_button_works_within_a_second_and_without_a_restart(stage: Stage) -> None:
    before = stage.worker_pid()
    open_one = stage.talk("button")
    open_one.say("one")
    open_one.said("one")
    try:
        press(stage, "to_queue")
        time.sleep(1.0)
        open_one.say("two")
        open_one.said("one", "Connecting you…")
        new = stage.talk("button")
        new.say("hello")
        new.said("Connecting you…")
        assert stage.sandbox(calls.conversation(new.id)).assignment == {"type": "queue", "id": "101"}
        press(stage, "silent")
        time.sleep(1.0)
        quiet = stage.talk("button")
        quiet.say("anybody?")
        query = "SELECT outcome FROM event WHERE conversation_id = $1 AND type = 'MESSAGE'"
        eventually(lambda: stage.value(query, quiet.number) == "silent", within=20)
        assert quiet.texts() == []
    finally:
        press(stage, "live")
    time.sleep(1.0)
    quiet.say("now?")
    quiet.said("now?")
    assert stage.worker_pid() == before


def test_a_draining_endpoint_sends_new_conversations_to_its_queue(stage: Stage) -> None:
    talk = stage.talk("draining")
    talk.say("hello")
    wanted = {"type": "queue", "id": "101"}
    eventually(lambda: stage.sandbox(calls.conversation(talk.id)).assignment == wanted, within=20)
    assert talk.texts() == []


@contextmanager
def receiver(port: int) -> Iterator[list[tuple[str, bytes]]]:
    """Signatures and bodies of the alerts that come."""
    told: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.append((self.headers["x-parley-signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_a_message_that_nobody_answers_is_an_incident_and_an_alert(stage: Stage) -> None:
    endpoints = json.loads(Path(stage.parley.variables["PARLEY_ENDPOINTS"]).read_text())
    port = urlsplit(endpoints["alerts"]["webhook"]).port
    assert port is not None
    with receiver(port) as told:
        talk = stage.talk("mute")
        talk.say("is anybody there?")
        query = "SELECT detail FROM incident WHERE kind = 'dead_air' AND conversation_id = $1"
        eventually(
            lambda: talk.column("id") and stage.value(query, talk.number), within=40, what="an incident"
        )
        assert json.loads(stage.value(query, talk.number)) == {"why": "unanswered"}

        def mine() -> list[dict[str, Any]]:
            alerts = [json.loads(body) for _, body in told]
            return [alert for alert in alerts if alert["conversation"] == talk.id]

        eventually(mine, within=60, what="an alert")
        [alert] = mine()
        assert (alert["kind"], alert["endpoint"]) == ("dead_air", "mute")
        assert all(signature.startswith("t=") and ",v1=" in signature for signature, _ in told)
        assert all(b"anybody" not in body for _, body in told)
