"""A bot that never gives the event loop back ends its worker, whatever it does meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PROCESS = """
import asyncio, hashlib, re, sys, threading, time
from app.worker.watchdog import Watchdog

watchdog = Watchdog(0.6)

async def main(kind):
    task = asyncio.create_task(watchdog.feed())
    await asyncio.sleep(1.0)
    print("turns", flush=True)
    while kind == "spins":
        pass
    if kind == "sleeps":
        time.sleep(60)
    if kind == "backtracks":
        re.match("(a+)+$", "a" * 60 + "b")
    if kind == "computes":
        work = ["sha256", b"x", b"y", 2_000_000]
        await asyncio.gather(*(asyncio.to_thread(hashlib.pbkdf2_hmac, *work) for _ in range(2)))
    await asyncio.sleep(1.5)
    task.cancel()

thread = threading.Thread(target=lambda: asyncio.run(main(sys.argv[1])), daemon=True)
thread.start()
while thread.is_alive():
    time.sleep(0.1)
    watchdog.check()
"""


ENDS = [
    ("spins", 70),
    ("sleeps", 70),
    ("backtracks", -signal.SIGVTALRM),  # nothing else of Python runs any more
    ("computes", 0),  # in threads, beside the loop
    ("behaves", 0),
]


@pytest.mark.parametrize(("kind", "code"), ENDS)
def test_a_loop_that_stands_still_ends_the_process(kind: str, code: int) -> None:
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS, kind], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == "turns\n" or "event_loop_stuck" in ended.stdout
    assert time.monotonic() - begun < 40
