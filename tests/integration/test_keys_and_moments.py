"""What changes between taking a delivery and hearing of it: the API key, the pause, the time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.outbox import STALE_AFTER
from app.conversation.owned import owned
from app.conversation.pauses import fingerprint
from app.gateway.outcome import Outcome, Unauthorized
from tests.integration.scene import endpoint, scene

NEW_KEY = {"base_url": "http://127.0.0.1:1", "api_key": "another-key-of-8x8", "tenant": "acme01"}


async def bot(chat: Chat) -> None:
    await chat.say("one")
    await chat.say("two")


async def test_a_key_that_was_refused_after_it_had_been_replaced_pauses_nothing(engine: AsyncEngine) -> None:
    play = scene(engine, bot)
    old = play.services.endpoints["support"]

    async def send(*arguments: Any, **named: Any) -> Outcome:
        play.services.endpoints["support"] = endpoint(eightxeight=NEW_KEY)  # type: ignore[index]
        play.gateway.send = accept  # type: ignore[method-assign]
        return Unauthorized(401, "HTTP 401")

    accept, play.gateway.send = play.gateway.send, send  # type: ignore[method-assign]
    await play.says("hello")
    await play.work()
    assert await play.value("SELECT paused_key FROM endpoint_state") == fingerprint(old)
    await play.services.pauses.refresh()
    assert not play.services.pauses.paused("support")
    await play.later(1)
    assert play.gateway.texts == ["one", "two"]


async def test_an_endpoint_is_paused_and_resumed_in_the_same_moment(engine: AsyncEngine) -> None:
    play = scene(engine, bot)
    play.gateway.answers = [Unauthorized(401, "HTTP 401")]
    await play.says("hello")
    await play.work()
    pauses, state = play.services.pauses, play.state
    assert state is not None
    has_it, resuming = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        async with owned(engine, state) as holding:
            has_it.set()
            await resuming.wait()
            await asyncio.sleep(0.1)  # the other one is at the database by now
            await pauses.pause(await holding.sqlalchemy(), play.services.endpoints["support"])

    async def resume() -> None:
        await has_it.wait()
        resuming.set()
        await pauses.resume("support")

    async with asyncio.timeout(10):
        await asyncio.gather(pause(), resume())


async def test_a_resume_that_fails_costs_nothing_of_what_is_sent_next(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = scene(engine, bot)
    play.gateway.answers = [Unauthorized(401, "HTTP 401")]
    await play.says("hello")
    await play.work()

    async def resume(name: str) -> None:
        raise OperationalError("x", None, Exception("a lock was not to be had"))

    monkeypatch.setattr(play.services.pauses, "resume", resume)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE endpoint_state SET probe_at = now()")
    await play.later(20)
    assert play.gateway.texts == ["one"]
    assert await play.statuses() == ["sent", "waiting"]


async def test_a_request_is_asked_for_leave_right_before_it_is_written(engine: AsyncEngine) -> None:
    play = scene(engine, bot)
    leave: list[bool] = []

    async def send(*arguments: Any, **named: Any) -> Outcome:
        leave.append(named["may_begin"]())
        play.clock.forward(STALE_AFTER + 0.1)
        leave.append(named["may_begin"]())
        return await accept(*arguments, **named)

    accept, play.gateway.send = play.gateway.send, send  # type: ignore[method-assign]
    await play.says("hello")
    await play.work()
    assert leave == [True, False, True, False]
