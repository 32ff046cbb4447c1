"""Running one step: threads, retries, timeouts, keys, and results that fit the database."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.conversation.needs import StepCall
from app.conversation.step import run_step
from app.conversation.step_threads import EndpointThreads
from tests.integration.scene import until


def step(function: Callable[..., Any], *args: Any, **changes: Any) -> StepCall:
    values: dict[str, Any] = {
        "retry": True,
        "retries": 2,
        "timeout": None,
        "begun": False,
        "kwargs": {},
        **changes,
    }
    return StepCall(position=4, key="d:4", name="work", function=function, args=args, **values)


async def run(call: StepCall, pauses: list[float] | None = None) -> dict[str, Any]:
    async def sleep(seconds: float) -> None:
        (pauses if pauses is not None else []).append(seconds)

    return await run_step(call, threads=EndpointThreads(4), sleep=sleep, jitter=lambda: 1.0)


async def test_plain_functions_run_in_a_thread_and_async_ones_in_the_loop() -> None:
    def plain() -> str:
        return threading.current_thread().name

    async def coroutine() -> str:
        return threading.current_thread().name

    threads = EndpointThreads(1, "support")
    assert (await run_step(step(plain), threads=threads))["value"].startswith("step support")
    own = threading.current_thread().name
    for function in (coroutine, functools.partial(coroutine), lambda: coroutine(), Callable_()):
        assert await run_step(step(function), threads=threads) == {"step": 4, "value": own}


class Callable_:
    async def __call__(self) -> str:
        return threading.current_thread().name


async def test_a_thread_sees_the_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")
    assert (await run(step(variable.get)))["value"] == "seen"


async def test_results_become_json() -> None:
    value = (await run(step(lambda: {"price": Decimal("1.50"), "on": date(2026, 1, 2), "of": (1, {2})})))[
        "value"
    ]
    assert value == {"price": "1.50", "on": "2026-01-02", "of": [1, [2]]}


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("a\0", "NUL"),
        ({"\ud800": 1}, "surrogate"),
        ([float("nan")], "NaN"),
        (object(), "object, which JSON can't express"),
        (b"\xff", "bytes"),
    ],
)
async def test_a_result_that_can_not_be_stored_is_a_failure_that_says_so_and_is_not_tried_again(
    value: Any, part: str
) -> None:
    calls = []

    def work() -> Any:
        calls.append(1)
        return value

    error = (await run(step(work)))["error"]
    assert error["type"] == "BotError"
    assert part in error["message"]
    assert "the result of step work" in error["message"]
    assert len(calls) == 1


async def test_a_failing_step_is_tried_again_with_growing_pauses() -> None:
    attempts: list[int] = []
    pauses: list[float] = []

    def work() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError
        return "there"

    assert await run(step(work), pauses) == {"step": 4, "value": "there"}
    assert pauses == [0.5, 1.0]


async def test_the_last_failure_is_the_result() -> None:
    pauses: list[float] = []

    async def work() -> None:
        raise ValueError("no\0 \ud800" + "x" * 5000)

    error = (await run(step(work, retries=7), pauses))["error"]
    assert error["type"] == "ValueError"
    assert len(error["message"]) == 1000
    assert error["message"].startswith("no\ufffd ?")
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30]


@pytest.mark.parametrize("error", [SystemExit, StopIteration, asyncio.CancelledError])
async def test_whatever_a_step_raises_is_a_result(error: type[BaseException]) -> None:
    def plain() -> None:
        raise error

    async def coroutine() -> None:
        raise error

    for function in (plain, coroutine):
        async with asyncio.timeout(5):
            assert "error" in await run(step(function, retry=False))


async def test_each_attempt_has_its_time() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    error = (await run(step(work, timeout=0.01, retries=1)))["error"]
    assert error["type"] == "TimeoutError"


async def test_a_step_without_retries_runs_once() -> None:
    attempts: list[int] = []

    def work() -> None:
        attempts.append(1)
        raise ConnectionError

    assert "error" in await run(step(work, retry=False))
    assert len(attempts) == 1


async def test_a_step_that_must_not_run_twice_is_interrupted_instead() -> None:
    def work() -> None:
        raise AssertionError("must not run")

    assert await run(step(work, retry=False, begun=True)) == {"step": 4, "interrupted": True}
    assert await run(step(lambda: 1, begun=True)) == {"step": 4, "value": 1}


async def test_the_key_is_passed_to_those_who_want_it() -> None:
    def wants(amount: int, *, idempotency_key: str) -> str:
        return f"{amount} {idempotency_key}"

    def takes_anything(**more: Any) -> list[str]:
        return list(more)

    assert (await run(step(wants, 3)))["value"] == "3 d:4"
    assert (await run(step(wants, 3, kwargs={"idempotency_key": "mine"})))["value"] == "3 mine"
    assert (await run(step(takes_anything)))["value"] == []
    assert (await run(step(max, 1, 2)))["value"] == 2


async def test_a_cancelled_turn_leaves_no_result() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(run(step(work)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_thread_that_outlives_its_timeout_is_waited_for_instead_of_begun_beside_itself() -> None:
    go = threading.Event()
    begun: list[int] = []

    def work() -> str:
        begun.append(1)
        go.wait(10)
        return "late"

    async def sleep(_: float) -> None:
        go.set()

    threads = EndpointThreads(4)
    done = await run_step(step(work, timeout=0.05), threads=threads, sleep=sleep)
    assert done == {"step": 4, "value": "late"}
    assert len(begun) == 1
    assert threads.stuck == 0


async def test_a_step_that_hangs_for_good_takes_one_thread_and_is_counted_until_it_ends() -> None:
    go = threading.Event()
    begun: list[int] = []

    def work() -> None:
        begun.append(1)
        go.wait(10)

    threads = EndpointThreads(4)
    done = await run_step(step(work, timeout=0.01), threads=threads, sleep=lambda _: asyncio.sleep(0))
    assert done["error"]["type"] == "TimeoutError"
    assert len(begun) == 1
    assert threads.stuck == 1
    go.set()
    await until(lambda: threads.stuck == 0)


async def test_a_step_that_waits_for_a_thread_when_its_turn_ends_is_never_begun() -> None:
    go = threading.Event()
    begun: list[str] = []

    def work(name: str) -> None:
        begun.append(name)
        go.wait(10)

    threads = EndpointThreads(1)
    first = asyncio.create_task(run_step(step(work, "first"), threads=threads))
    await until(lambda: begun)
    second = asyncio.create_task(run_step(step(work, "second"), threads=threads))
    await asyncio.sleep(0)
    for task in (second, first):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert threads.stuck == 1
    go.set()
    assert (await run_step(step(lambda: 1), threads=threads))["value"] == 1
    assert begun == ["first"]
