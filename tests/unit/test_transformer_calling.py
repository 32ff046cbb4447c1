"""Calling transformers: what they raise is their own failure, and who hangs takes nobody else's thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.conversation.step_threads import StepThreads
from app.endpoints import Endpoint
from app.transformers import threads
from app.transformers.calling import TransformerFailed, call_transformer
from tests.integration.scene import until

HERE = __name__
released = threading.Event()


async def cancels_itself(_: Any) -> None:
    raise asyncio.CancelledError


def cancels_in_a_thread(_: Any) -> None:
    raise asyncio.CancelledError


async def exits(_: Any) -> None:
    sys.exit(3)


def exits_in_a_thread(_: Any) -> None:
    sys.exit(3)


def stops(_: Any) -> None:
    raise StopIteration


def hangs(_: Any) -> None:
    released.wait(30)


def answers(given: Any) -> Any:
    return given


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads, and whatever hangs in them is let go at the end."""
    monkeypatch.setattr(threads, "threads", StepThreads(2))
    released.clear()
    yield
    released.set()


def endpoint(timeout: float = 5.0) -> Endpoint:
    return cast(Endpoint, SimpleNamespace(name="support", transformers=SimpleNamespace(timeout=timeout)))


async def call(name: str, *, timeout: float = 5.0, reports: list[str] | None = None) -> Any:
    async def report(endpoint: str) -> None:
        if reports is not None:
            reports.append(endpoint)

    return await call_transformer(endpoint(timeout), "input", f"{HERE}:{name}", 1, report=report)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cancels_itself", "CancelledError"),
        ("cancels_in_a_thread", "RuntimeError"),
        ("exits", "SystemExit"),
        ("exits_in_a_thread", "SystemExit"),
        ("stops", "RuntimeError"),
    ],
)
async def test_whatever_it_raises_is_its_own_failure(name: str, told: str) -> None:
    with pytest.raises(TransformerFailed, match=told):
        await call(name)


async def test_who_is_cancelled_meanwhile_is_cancelled(few: None) -> None:
    task = asyncio.create_task(call("hangs"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_that_hangs_keeps_its_thread_and_others_have_theirs(few: None) -> None:
    with pytest.raises(TransformerFailed, match="TimeoutError"):
        await call("hangs", timeout=0.05)
    assert [await call("answers") for _ in range(3)] == [1, 1, 1]


async def test_where_all_hang_others_fail_at_once_and_ops_hear_of_it(few: None) -> None:
    for _ in range(2):
        with pytest.raises(TransformerFailed, match="TimeoutError"):
            await call("hangs", timeout=0.05)
    reports: list[str] = []
    with pytest.raises(TransformerFailed, match="every thread"):
        await call("answers", timeout=30.0, reports=reports)
    assert reports == ["support"]
    released.set()
    await until(lambda: not threads.threads.stuck())
    assert await call("answers") == 1
