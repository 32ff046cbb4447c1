"""A file on its whole way, through real processes: sandbox, receiver, worker, storage, ClamAV where it is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.sandbox import calls
from app.sandbox.client import SandboxClient
from tests.acceptance.running import Parley, eventually
from tests.integration.clamav import EICAR, clamav

BOT = '''
import hashlib

from app.bot import Chat, FileUnavailable


async def digests(chat: Chat) -> None:
    """Says the digest of each file and where it is."""
    message = chat.message
    while message.text != "bye":
        for file in message.attachments:
            try:
                digest = hashlib.sha256(await file.read()).hexdigest()
                await chat.say(f"{file.name} {file.type} {digest} {file.url}")
            except FileUnavailable as error:
                await chat.say(f"{file.name} {error.reason}")
        await chat.say("Anything else?")
        message = await chat.receive()
'''

HAS_CLAMAV = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


@pytest.fixture
def running(own_parley: Callable[..., Parley], tmp_path: Path) -> Iterator[Parley]:
    """A `parley up` with one endpoint, and with ClamAV where that is installed."""
    with ExitStack() as stack:
        parley = own_parley(PARLEY_ENDPOINTS=str(tmp_path / "endpoints.yaml"))
        name = "files"
        endpoint = {
            "name": name,
            "token": f"sandbox-{name}-token",
            "flow": "file_bots:digests",
            "eightxeight": {
                "base_url": parley.sandbox_url,
                "api_key": f"sandbox-{name}-key",
                "tenant": f"sandbox-{name}",
            },
        }
        files = {"clamd": stack.enter_context(clamav())} if HAS_CLAMAV else {}
        (tmp_path / "file_bots.py").write_text(BOT)
        (tmp_path / "endpoints.yaml").write_text(json.dumps({"endpoints": [endpoint], "files": files}))
        parley.start()
        parley.wait_until_ready()
        yield parley


def test_a_user_sends_a_file_the_bot_reads_it_and_its_url_serves_it(running: Parley) -> None:
    content = b"\x89PNG\r\n\x1a\n" + os.urandom(3_000_000)
    digest = hashlib.sha256(content).hexdigest()
    with SandboxClient(running.sandbox_url) as sandbox:
        talk = sandbox(calls.start(tenant="sandbox-files")).id

        def said() -> list[str]:
            found = sandbox(calls.messages(talk, author="bot")).messages
            return [message.text or "" for message in found]

        sandbox(calls.send_file(talk, "lamp.png", content))
        eventually(lambda: said()[-1:] == ["Anything else?"], within=30, what="the reply")
        name, media_type, found, url = said()[0].split(" ")
        assert (name, media_type, found) == ("lamp.png", "image/png", digest)

        with httpx.Client(trust_env=False) as http:
            assert hashlib.sha256(http.get(url).content).hexdigest() == digest
            parsed = httpx.URL(url)
            for altered in (
                parsed.copy_set_param("expires", str(int(parsed.params["expires"]) + 86_400)),
                parsed.copy_set_param("expires", str(int(time.time()) - 1)),
                parsed.copy_set_param("signature", "A" * 43),
                parsed.copy_remove_param("signature"),
            ):
                assert http.get(altered).status_code == 403

        replayed = running.run("replay")
        assert (replayed.returncode, "1 dialogs replayed, 1 fit" in replayed.stdout) == (0, True)

        def open_runs() -> list[dict[str, object]]:
            tagged = {"tags": {"all_": [f"conversation:{talk}"]}, "state": {"type": {"any_": ["RUNNING"]}}}
            answer = httpx.post(
                f"{running.prefect_url}/flow_runs/filter", json={"flow_runs": tagged}, trust_env=False
            )
            return list(answer.raise_for_status().json())

        eventually(
            open_runs, within=60, what="an open run: fetching for the first message may come before it"
        )
        sandbox(calls.send_file(talk, "virus.com", EICAR))
        eventually(lambda: said()[-1] == "Anything else?" and len(said()) == 4, within=30, what="the second")
        expected = "virus.com infected" if HAS_CLAMAV else "virus.com text/plain"
        assert said()[2].startswith(expected)

    # Fetching is seen in Prefect, without a word of what was fetched.
    query = {"task_runs": {"name": {"any_": ["fetch file"]}}}

    def fetches() -> list[dict[str, object]]:
        answer = httpx.post(f"{running.prefect_url}/task_runs/filter", json=query, trust_env=False)
        return [run for run in answer.raise_for_status().json() if run["state_type"] == "COMPLETED"]

    eventually(fetches, within=30, what="the task run")
    assert "lamp.png" not in json.dumps(fetches())

    stored = [path for path in (running.home / "files").rglob("*") if path.is_file()]
    assert len(stored) == (1 if HAS_CLAMAV else 2)
    assert parsed.params["signature"] not in running.errors
    assert "lamp.png" not in running.errors
