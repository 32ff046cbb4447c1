"""A turn that never ends is ended: the user hears of it, and the next message is answered."""

from __future__ import annotations

import asyncio
import threading

from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from tests.integration.scene import scene

let_go = threading.Event()


async def waits_for_ever() -> None:
    await asyncio.Event().wait()


def blocks() -> None:
    let_go.wait(60)


async def endless(chat: Chat) -> None:
    await chat.say("One moment…")
    if chat.message.text == "async":
        await chat.step(waits_for_ever)
    if chat.message.text == "thread":
        await chat.step(blocks)
    await chat.say("Here you are.")


async def test_a_step_that_never_ends_costs_the_turn_and_nothing_else(engine: AsyncEngine) -> None:
    play = scene(engine, endless, turn_timeout=0.5, on_error={"message": "Sorry!"})
    try:
        for number, word in enumerate(("async", "thread"), start=1):
            await play.says(word)
            await asyncio.wait_for(play.work(), 10)
            assert play.gateway.texts[-2:] == ["One moment…", "Sorry!"]
            failed = "SELECT count(*) FROM dialog WHERE status = 'failed' AND error LIKE 'TurnTimedOut%'"
            assert await play.value(failed) == number
            assert await play.value("SELECT count(*) FROM incident WHERE kind = 'bot_failed'") == number
        await play.says("quickly")
        await play.work()
        assert play.gateway.texts[-2:] == ["One moment…", "Here you are."]
        assert await play.value("SELECT count(*) FROM event WHERE processed_at IS NULL") == 0
        assert await play.value("SELECT deaths FROM conversation") == 0
    finally:
        let_go.set()
