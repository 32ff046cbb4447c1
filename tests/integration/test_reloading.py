"""endpoints.yaml read again by running processes."""
# ruff: noqa: ASYNC110, ASYNC220, ASYNC240 - nothing else runs in these tests' loop

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.database.engine import connect
from app.endpoints import Endpoints
from app.endpoints_file import load_endpoints
from app.receiver.main import serving
from app.reloading import ask, replace_endpoints
from app.settings import Settings
from app.supervisor.ports import free_port
from app.tls import certificates
from tests.integration.admin_pages import admin, csrf
from tests.integration.scene import endpoint, until

PARLEY = Path(sys.executable).with_name("parley")

GOOD = """
endpoints:
  - name: echo
    token: {token}
    flow: flows.bots.echo:echo
    eightxeight: {{base_url: 'http://127.0.0.1:1', api_key: key-of-8x8-long-enough}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "endpoints.yaml"
    path.write_text(GOOD.format(token="the-first-token-of-all"))
    return path


async def test_the_receiver_takes_a_valid_file_and_refuses_a_broken_one(
    file: Path, database_url: str
) -> None:
    settings = Settings(endpoints=file, port=0, admin_port=0)
    async with (
        serving(settings, load_endpoints(file), database_url=database_url) as ports,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.public}", verify=certificates()) as client,
    ):

        async def known(token: str) -> bool:
            return (await client.post(f"/8x8/{token}", content=b"{}")).status_code != 404

        await listening(database_url)
        assert await known("the-first-token-of-all")
        file.write_text(GOOD.format(token="another-token-of-mine"))
        assert not await known("another-token-of-mine")
        (answer,) = await ask(database_url)
        assert (answer.part, answer.ok) == ("receiver", True)
        assert await known("another-token-of-mine") and not await known("the-first-token-of-all")

        file.write_text(GOOD.format(token="short"))
        (answer,) = await ask(database_url)
        assert not answer.ok and "line 4: endpoints[0].token: must be 16 to 256" in answer.reason
        file.write_text(GOOD.format(token="the-third-token-of-all").replace(":echo\n", ":nothing\n"))
        (answer,) = await ask(database_url)
        assert not answer.ok and "flows.bots.echo has no 'nothing'" in answer.reason
        assert await known("another-token-of-mine"), "a broken file changes nothing"


async def listening(database_url: str) -> None:
    """Wait until a process listens for reloads."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name LIKE 'parley reload %' AND query LIKE 'LISTEN%'"
    )
    connection = await connect(database_url, application="test")
    try:
        async with asyncio.timeout(30):
            while not await connection.fetchval(query):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def test_a_worker_reloads_on_request_and_on_sighup(
    file: Path, database_url: str, tmp_path: Path
) -> None:
    variables = {
        **os.environ,
        "PARLEY_DATABASE_URL": database_url,
        "PARLEY_ENDPOINTS": str(file),
        "PARLEY_HOME": str(tmp_path / "home"),
        "PREFECT_API_URL": "http://127.0.0.1:1/api",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        worker = subprocess.Popen([PARLEY, "work"], env=variables, stderr=output, stdout=output)
        try:
            await listening(database_url)
            (answer,) = await ask(database_url)
            assert (answer.part, answer.pid, answer.ok) == ("worker", worker.pid, True)
            worker.send_signal(signal.SIGHUP)
            await logged(log, '"event": "reloaded"', 2)
            file.write_text("endpoints: 7")
            worker.send_signal(signal.SIGHUP)
            await logged(log, '"event": "reload_refused"', 1)
            command = partial(subprocess.run, [PARLEY, "reload"], env=variables)
            done = await asyncio.to_thread(lambda: command(capture_output=True, text=True))
            assert done.returncode == 1 and "nothing changed" in done.stderr
            assert worker.poll() is None
        finally:
            worker.terminate()
            worker.wait(20)


async def logged(log: Path, text: str, times: int) -> None:
    """Wait until the log has this so often."""
    async with asyncio.timeout(20):
        while log.read_text().count(text) < times:
            await asyncio.sleep(0.05)


def entry(name: str, *, base_url: str = "http://127.0.0.1:1", tenant: str | None = None) -> dict[str, Any]:
    """An endpoint, as the file has it."""
    return {
        "name": name,
        "token": f"the-token-of-{name}-here",
        "flow": "flows.bots.echo:echo",
        "eightxeight": {"base_url": base_url, "api_key": f"key-of-{name}-long-enough", "tenant": tenant},
    }


def write(file: Path, *entries: dict[str, Any], **more: Any) -> None:
    """The file with these endpoints."""
    file.write_text(json.dumps({"endpoints": entries, **more}))


async def test_the_console_follows_a_reload(file: Path, database_url: str, tmp_path: Path) -> None:
    write(file, entry("first"))
    connection = await connect(database_url, application="test")
    insert = "INSERT INTO conversation (endpoint, external_id) VALUES ('first', 'a'), ('second', 'b')"
    await connection.execute(insert)
    await connection.close()
    known = load_endpoints(file)
    async with admin(database_url, tmp_path, endpoints=known, file=file) as client:

        async def is_known(conversation: int) -> bool:
            path = f"/console/conversations/{conversation}"
            form = {"csrf": csrf((await client.get(path)).text)}
            page = await client.post(f"{path}/interactions", data=form)
            assert page.status_code == 200
            return "no longer set up" not in page.text

        await listening(database_url)
        assert [await is_known(1), await is_known(2)] == [True, False]
        write(file, entry("second"))
        assert [answer.ok for answer in await ask(database_url)] == [True]
        assert [await is_known(1), await is_known(2)] == [False, True]
        file.write_text("endpoints: 7")
        (answer,) = await ask(database_url)
        assert not answer.ok and answer.reason
        assert [await is_known(1), await is_known(2)] == [False, True], "a broken file changes nothing"


@asynccontextmanager
async def process(*command: str, log: Path, **variables: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A part of Parley, until the context ends."""
    environment = {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:1/api", **variables}
    with log.open("wb") as output:
        part = subprocess.Popen([PARLEY, *command], env=environment, stderr=output, stdout=output)
        try:
            yield part
        finally:
            part.terminate()
            part.wait(20)


async def test_a_worker_hosts_a_new_endpoint_and_tells_alerts_where_the_file_says_now(
    file: Path, database_url: str, tmp_path: Path
) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        told.append((head.split(" ")[1], json.loads(await reader.readexactly(length))))
        writer.write(b"HTTP/1.1 204 -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def alerts(path: str) -> dict[str, str]:
        return {"webhook": f"{url}/{path}", "secret": "a-secret-of-24-characters"}

    write(file, entry("first"))
    connection = await connect(database_url, application="test")
    variables = {
        "PARLEY_DATABASE_URL": database_url,
        "PARLEY_ENDPOINTS": str(file),
        "PARLEY_HOME": str(tmp_path / "home"),
    }
    try:
        async with process("work", log=tmp_path / "log", **variables):
            await listening(database_url)
            await connection.execute("INSERT INTO incident (kind) VALUES ('before')")
            await connection.execute(ARRIVED)
            write(file, entry("first"), entry("second"), alerts=alerts("one"))
            assert [answer.ok for answer in await ask(database_url)] == [True]
            await until(lambda: told, within=20)
            assert (told[0][0], told[0][1]["kind"]) == ("/one", "before")
            handled = "SELECT count(*) FROM event WHERE processed_at IS NOT NULL"
            async with asyncio.timeout(20):
                while not await connection.fetchval(handled):
                    await asyncio.sleep(0.05)

            file.write_text("endpoints: 7")
            assert [answer.ok for answer in await ask(database_url)] == [False]
            await connection.execute("INSERT INTO incident (kind) VALUES ('broken')")
            await until(lambda: ("/one", "broken") in kinds(told), within=20)
            write(file, entry("first"), alerts=alerts("two"))
            assert [answer.ok for answer in await ask(database_url)] == [True]
            await connection.execute("INSERT INTO incident (kind) VALUES ('after')")
            await until(lambda: ("/two", "after") in kinds(told), within=20)
    finally:
        server.close()
        await connection.close()


#: A message for the endpoint that comes with the reload.
ARRIVED = """
INSERT INTO conversation (endpoint, external_id, due_at) VALUES ('second', 'b', now());
INSERT INTO event (endpoint, event_id, conversation_id, type, body_sha256, at, payload)
    VALUES ('second', 'e1', 1, 'MESSAGE', 'x', now(), '{"eventType": "MESSAGE", "conversationId": "b",
        "data": {"isEcho": false, "sender": {"id": "u", "type": "user"}, "text": "hi"}}');
"""


def kinds(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, str]]:
    """Where which kinds were told."""
    return [(path, str(body["kind"])) for path, body in told]


async def test_the_sandbox_follows_a_reload_and_sighup(file: Path, database_url: str, tmp_path: Path) -> None:
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    write(file, entry("first", base_url=here, tenant="one"))
    variables = {
        "PARLEY_DATABASE_URL": database_url,
        "PARLEY_ENDPOINTS": str(file),
        "PARLEY_HOME": str(tmp_path / "home"),
        "PARLEY_SANDBOX_PORT": str(port),
    }
    log = tmp_path / "log"
    async with (
        process("sandbox", log=log, **variables) as sandbox,
        httpx.AsyncClient(base_url=here, verify=certificates(), trust_env=False) as client,
    ):

        async def tenants() -> dict[str, str]:
            found = (await client.get("/sandbox/api/tenants")).json()["tenants"]
            return {each["tenant"]: each["webhooks"]["*"].rsplit("/", 1)[1] for each in found}

        await listening(database_url)
        assert await tenants() == {"one": "the-token-of-first-here"}
        begun = await client.post("/sandbox/api/conversations", json={"tenant": "one"})
        assert begun.is_success
        changed = {**entry("first", base_url=here, tenant="one"), "token": "another-token-of-first"}
        write(file, changed, entry("second", base_url=here, tenant="two"), entry("elsewhere"))
        (answer,) = await ask(database_url)
        assert (answer.part, answer.ok) == ("sandbox", True)
        assert await tenants() == {"one": "another-token-of-first", "two": "the-token-of-second-here"}

        file.write_text("endpoints: 7")
        (answer,) = await ask(database_url)
        assert not answer.ok and answer.reason
        assert set(await tenants()) == {"one", "two"}, "a broken file changes nothing"

        write(file, entry("second", base_url=here, tenant="two"))
        sandbox.send_signal(signal.SIGHUP)
        await logged(log, '"event": "reloaded"', 2)
        assert set(await tenants()) == {"two"}
        assert (await client.get("/sandbox/api/conversations")).json()["conversations"] == []
        gone = await client.get(
            "/chat-gateway/v1/conversations", headers={"x-api-key": "key-of-first-long-enough"}
        )
        assert gone.status_code in (401, 403), "its key opens nothing any more"


def test_an_endpoint_that_is_gone_is_as_if_disabled() -> None:
    known = {"support": endpoint(), "old": endpoint(name="old", token="another-token-long")}
    replace_endpoints(known, Endpoints(endpoints=[endpoint(turn_timeout=7)]))
    assert known["support"].turn_timeout == 7
    assert known["old"].enabled is False
