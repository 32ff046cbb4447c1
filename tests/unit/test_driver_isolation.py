"""The driver: what a bot must not await, and how it is closed."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from app.bot import BotError, Chat
from app.conversation.driver import Driver
from app.conversation.needs import Need, Receive
from tests.unit.driving import driver, failed, run, texts, user

# what a bot must not await


def double(number: int) -> int:
    return number * 2


async def sleeping(chat: Chat) -> None:
    await asyncio.sleep(1)


async def yielding(chat: Chat) -> None:
    await asyncio.sleep(0)


async def timing(chat: Chat) -> None:
    async with asyncio.timeout(1):
        await chat.receive()


async def tasking(chat: Chat) -> None:
    await asyncio.create_task(chat.say("x"))


async def gathering(chat: Chat) -> None:
    await asyncio.gather(chat.say("x"))


async def threading(chat: Chat) -> None:
    await asyncio.to_thread(print)


async def any_sleeping(chat: Chat) -> None:
    await anyio.sleep(1)


async def catching(chat: Chat) -> None:
    while True:
        try:
            await asyncio.sleep(1)
        except Exception:
            await chat.receive()


FOREIGN = (sleeping, yielding, timing, tasking, gathering, threading, any_sleeping, catching)


@pytest.mark.parametrize("bot", FOREIGN)
@pytest.mark.parametrize("in_loop", [False, True])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_awaiting_anything_but_chat_fails_and_says_what_and_where(
    bot: Callable[[Chat], Any], in_loop: bool
) -> None:
    async def inside() -> Need:
        need = run(bot)
        assert asyncio.get_running_loop() is not None
        assert len(asyncio.all_tasks()) == 1
        return need

    need = failed(asyncio.run(inside()) if in_loop else run(bot))
    assert isinstance(need.error, BotError)
    line = bot.__code__.co_firstlineno
    assert need.where in [f"tests/unit/test_driver_isolation.py:{line + more}" for more in range(5)]
    assert "wrap it in chat.step" in str(need.error)
    assert "asyncio." in str(need.error) or "anyio." in str(need.error)
    gc.collect()


def test_the_callers_event_loop_and_context_stay_apart() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def bot(chat: Chat) -> None:
        await chat.say(variable.get())
        variable.set("the bot's")
        await chat.receive()
        await chat.say(variable.get())

    async def main() -> list[str]:
        variable.set("the caller's")
        driven = driver(bot)
        driven.run()
        driven.feed(user("x"))
        driven.run()
        assert variable.get() == "the caller's"
        assert asyncio.current_task() is not None
        return texts(driven)

    assert asyncio.run(main()) == ["none", "the bot's"]


def test_async_generators_work_and_are_never_left_to_the_callers_loop() -> None:
    ended: list[str] = []

    async def answers(chat: Chat) -> AsyncIterator[str]:
        try:
            while True:
                yield (await chat.receive()).text
        finally:
            ended.append("closed")

    async def bot(chat: Chat) -> None:
        async for answer in answers(chat):
            await chat.say(answer)
            if answer == "stop":
                break
        await chat.receive()

    async def main() -> list[str]:
        with driver(bot) as driven:
            driven.run()
            for text in ("a", "stop"):
                driven.feed(user(text))
                assert isinstance(driven.run(), Receive)
            assert ended == ["closed"]
            assert len(asyncio.all_tasks()) == 1
            return texts(driven)

    assert asyncio.run(main()) == ["a", "stop"]


# closing


@pytest.mark.parametrize("in_loop", [False, True])
def test_closing_runs_finally_but_lets_nothing_be_said(in_loop: bool) -> None:
    ran: list[str] = []

    async def bot(chat: Chat) -> None:
        try:
            await chat.receive()
        finally:
            ran.append("before")
            await chat.say("bye")
            ran.append("after")

    async def inside() -> Driver:
        driven = driver(bot)
        driven.run()
        driven.close()
        return driven

    driven = asyncio.run(inside()) if in_loop else _driven(inside())
    assert ran == ["before"]
    assert driven.drain() == []


def _driven(coroutine: Any) -> Driver:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    driven = stopped.value.value
    assert isinstance(driven, Driver)
    return driven


@pytest.mark.parametrize("method", ["say", "receive", "ask", "step", "handover"])
def test_a_bot_that_refuses_to_be_closed_is_closed_all_the_same(method: str) -> None:
    async def bot(chat: Chat) -> None:
        await chat.receive()
        calls = {"say": ("x",), "ask": ("x",), "step": (double,)}
        while True:
            try:
                await getattr(chat, method)(*calls.get(method, ()))
                await chat.receive()
            except BaseException:
                continue

    driven = driver(bot, [user("hi"), user("again")])
    driven.run()
    before = len(driven.entries)
    driven.close()
    gc.collect()
    assert len(driven.entries) == before


def test_errors_while_closing_stay_inside(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def bot(chat: Chat) -> None:
        try:
            await chat.receive()
        finally:
            raise ValueError("with a user's text")

    driven = driver(bot)
    driven.run()
    driven.close()
    logged = "".join(capsys.readouterr()) + caplog.text  # wherever this process logs to
    assert "bot_resists_closing" in logged
    assert "user's text" not in logged
