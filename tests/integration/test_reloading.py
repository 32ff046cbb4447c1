"""endpoints.yaml read again by running processes."""
# ruff: noqa: ASYNC110, ASYNC220, ASYNC240 - nothing else runs in these tests' loop

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

from app.database.engine import connect
from app.endpoints_file import load_endpoints
from app.receiver.main import serving
from app.reloading import ask, replace_endpoints
from app.settings import Settings
from tests.integration.scene import endpoint

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
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.public}") as client,
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


def test_an_endpoint_that_is_gone_is_as_if_disabled() -> None:
    from app.endpoints import Endpoints

    known = {"support": endpoint(), "old": endpoint(name="old", token="another-token-long")}
    replace_endpoints(known, Endpoints(endpoints=[endpoint(turn_timeout=7)]))
    assert known["support"].turn_timeout == 7
    assert known["old"].enabled is False
