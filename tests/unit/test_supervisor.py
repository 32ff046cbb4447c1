"""The supervisor: parts are real processes here, but small ones."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.errors import ConfigurationError
from app.supervisor.part import PAUSES, Part, Process, spawn
from app.supervisor.ports import Port, accepts, check_ports, free_port, http_answers
from app.supervisor.supervisor import Supervisor


def script(code: str, *arguments: object) -> Callable[[], Process]:
    """What starts a Python process that runs `code`."""
    return lambda: spawn([sys.executable, "-c", code, *map(str, arguments)], {})


async def eventually(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether no process has this id, zombies aside."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, sys, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time, pathlib;"
    "code = 'import time; time.sleep(600)';"
    "child = subprocess.Popen([sys.executable, '-c', code], start_new_session=True);"
    "pathlib.Path(sys.argv[1]).write_text(str(child.pid)); time.sleep(600)"
)


async def test_a_part_that_is_killed_is_started_again_within_five_seconds() -> None:
    supervisor = Supervisor()
    part = Part("sleeper", script(SLEEP))
    supervisor.keep(part)
    await supervisor.until_ready(part)
    assert part.process is not None
    first = part.process.pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: part.process is not None and part.process.pid != first, within=5)
    assert gone(first)
    await supervisor.stop(part, within=5)


async def test_pauses_between_restarts_grow_and_stay_below_five_seconds() -> None:
    part = Part("sleeper", script(SLEEP))
    part.started_at = time.monotonic()
    assert [part.pause() for _ in range(7)] == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    assert max(PAUSES) < 5
    part.started_at = time.monotonic() - 3600
    assert part.pause() == PAUSES[0]


async def test_a_part_that_cannot_start_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor()
    log = tmp_path / "log"
    code = "import sys; print('no such teapot', file=sys.stderr); sys.exit(1)"

    async def never(_process: Process) -> bool:
        return False

    part = Part("teapot", lambda: spawn([sys.executable, "-c", code], {}, log=log), never, log=log)
    supervisor.keep(part)
    with pytest.raises(ConfigurationError, match=r"(?s)teapot can't start \(exit code 1\).*no such teapot"):
        await supervisor.until_ready(part)
    assert part.restarts == 3
    await supervisor.stop(part, within=1)


async def test_a_part_that_says_it_is_misconfigured_is_not_tried_again() -> None:
    supervisor = Supervisor()

    async def never(_process: Process) -> bool:
        return False

    part = Part("misconfigured", script("import sys; sys.exit(2)"), never)
    supervisor.keep(part)
    with pytest.raises(ConfigurationError, match="exit code 2"):
        await supervisor.until_ready(part)
    assert part.restarts == 1
    await supervisor.stop(part, within=1)


async def test_a_part_that_never_answers_is_given_up() -> None:
    supervisor = Supervisor()

    async def never(_process: Process) -> bool:
        return False

    part = Part("mute", script(SLEEP), never)
    supervisor.keep(part)
    with pytest.raises(ConfigurationError, match="mute does not answer after 0 s"):
        await supervisor.until_ready(part, within=0.3)
    await supervisor.stop(part, within=5)


async def test_a_part_that_does_not_end_is_killed(tmp_path: Path) -> None:
    supervisor = Supervisor()
    mark = tmp_path / "mark"
    part = Part("stubborn", script(STUBBORN, mark))
    supervisor.keep(part)
    await eventually(mark.exists)
    assert part.process is not None
    pid, begun = part.process.pid, time.monotonic()
    await supervisor.stop(part, within=0.3)
    assert gone(pid)
    assert time.monotonic() - begun < 3


async def test_children_of_a_part_end_with_it_even_in_sessions_of_their_own(tmp_path: Path) -> None:
    supervisor = Supervisor()
    mark = tmp_path / "mark"
    part = Part("parent", script(PARENT, mark))
    supervisor.keep(part)
    await eventually(lambda: mark.exists() and mark.read_text())
    child = int(mark.read_text())
    assert not gone(child)
    await supervisor.stop(part, within=5)
    await eventually(lambda: gone(child))


async def test_parts_are_stopped_in_the_order_given(tmp_path: Path) -> None:
    supervisor = Supervisor()
    log = tmp_path / "order"
    code = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1] + sys.argv[2]).touch(); time.sleep(600)"
    )
    parts = [Part(name, script(code, log, name)) for name in "abc"]
    for part in parts:
        supervisor.keep(part)
    await eventually(lambda: all((tmp_path / f"order{part.name}").exists() for part in parts))
    await supervisor.stop_in_order([([parts[2]], 5), ([parts[0]], 5), ([parts[1]], 5)], within=14)
    assert log.read_text() == "cab"


def test_taken_and_doubled_ports_are_all_named() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        number = taken.getsockname()[1]
        free = free_port()
        with pytest.raises(ConfigurationError) as error:
            check_ports(
                [
                    Port("PARLEY_PORT", "127.0.0.1", number),
                    Port("PARLEY_ADMIN_PORT", "127.0.0.1", free),
                    Port("PARLEY_SANDBOX_PORT", "127.0.0.1", free),
                ]
            )
    assert f"port {number} (PARLEY_PORT) is taken" in str(error.value)
    assert f"port {free} is both PARLEY_ADMIN_PORT and PARLEY_SANDBOX_PORT" in str(error.value)


async def test_only_a_200_counts_as_an_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readline()
        status = b"200 OK" if b"/good" in request else b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await http_answers("127.0.0.1", port, "/good")
    assert not await http_answers("127.0.0.1", port, "/bad")
    assert await accepts(f"http://127.0.0.1:{port}/api")
    server.close()
    await server.wait_closed()
    assert not await http_answers("127.0.0.1", port, "/good")
    assert not await accepts(f"http://127.0.0.1:{port}/api")
    for mistake in ("http://h:port/api", "http://a..b/api", "nothing"):
        assert not await accepts(mistake)
