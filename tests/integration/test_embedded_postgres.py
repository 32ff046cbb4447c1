"""The embedded PostgreSQL survives what computers do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.database.embedded import EmbeddedPostgres, embedded_postgres, running_url
from app.database.engine import connect
from app.errors import ConfigurationError


async def ask(url: str, query: str) -> object:
    """The one value a query gives."""
    connection = await connect(url, application="test")
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def wait_until_gone(process: psutil.Process, *, within: float = 15.0) -> None:
    """Return when the process has ended."""
    deadline = time.monotonic() + within
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{process} still runs"
        time.sleep(0.05)


async def test_it_answers_on_a_private_socket_and_is_gone_afterwards(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path) as url:
        assert running_url(tmp_path) == url
        assert str(await ask(url, "SHOW server_version")).startswith("18.")
        assert await ask(url, "SHOW synchronous_commit") == "on"
        assert await ask(url, "SHOW listen_addresses") == ""
        server = EmbeddedPostgres(tmp_path)
        assert server.sockets.stat().st_mode & 0o077 == 0
        process = server.running()
        assert process is not None
    assert not process.is_running()
    assert running_url(tmp_path) is None


async def test_a_data_folder_with_a_very_long_path_works(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path / ("long" * 30)) as url:
        assert await ask(url, "SELECT 1") == 1


async def test_a_second_user_of_the_folder_shares_the_running_server(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path) as first:
        with embedded_postgres(tmp_path) as second:
            assert second == first
        assert await ask(first, "SELECT 1") == 1


async def test_committed_rows_survive_a_kill_of_every_process(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path) as url:
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS number")
        process = EmbeddedPostgres(tmp_path).running()
        assert process is not None
        for each in [process, *process.children(recursive=True)]:
            each.send_signal(signal.SIGKILL)
    with embedded_postgres(tmp_path) as url:
        assert await ask(url, "SELECT number FROM kept") == 42


async def test_a_stale_pid_file_that_names_another_process_does_not_stop_it(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path):
        pass
    lines = [
        str(os.getppid()),
        str(tmp_path / "postgres"),
        "1700000000",
        "5432",
        str(tmp_path),
        "",
        "1 1",
        "ready",
    ]
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    with embedded_postgres(tmp_path) as url:
        assert await ask(url, "SELECT 1") == 1


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel tells children of their parent's end on Linux only"
)
def test_it_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from app.database.embedded import embedded_postgres\n"
        "with embedded_postgres(Path(sys.argv[1])): print('ready', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    server = EmbeddedPostgres(tmp_path).running()
    assert server is not None
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until_gone(server)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "diary.txt").write_text("mine")
    with (
        pytest.raises(ConfigurationError, match=r"not a database and not empty \(diary.txt\)"),
        embedded_postgres(tmp_path),
    ):
        pass
