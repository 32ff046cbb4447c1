"""Steps that hang in their threads hold up no other endpoint, and ops see them."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.bot import Chat
from app.conversation.step_threads import StepThreads
from tests.integration.scene import endpoint, scene


@pytest.mark.parametrize("timeout", [0.05, None])
async def test_steps_that_hang_take_no_other_endpoints_threads(
    engine: AsyncEngine, timeout: float | None
) -> None:
    go = threading.Event()

    def hang() -> None:
        go.wait(30)

    def quick() -> str:
        return "there"

    async def hangs(chat: Chat) -> None:
        await chat.step(hang, timeout=timeout)

    async def looks_up(chat: Chat) -> None:
        await chat.say(await chat.step(quick))

    play = scene(engine, hangs, turn_timeout=0.5, on_error={"message": "Sorry!"})
    play.services.threads = StepThreads(2)
    other = endpoint(name="other", flow="tests.bots:other")
    play.services.endpoints = {**play.services.endpoints, "other": other}
    play.bots["tests.bots:other"] = looks_up
    with capture_logs() as logs:
        for number in range(3):
            play.conversation = f"ID-{number}"
            await play.says("hi")
            await play.work()
    assert play.gateway.texts == ["Sorry!"] * 3
    assert play.services.threads.stuck() == {"support": 2}
    assert [line["threads"] for line in logs if line["event"] == "steps_stuck"] == [2]

    play.endpoint, play.conversation = "other", "ID-other"
    await play.says("hi")
    async with asyncio.timeout(10):
        await play.work()
    assert play.gateway.texts[3:] == ["there"]
    go.set()
