"""A turn that never ends is ended: the user hears of it, and the next message is answered."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat, call
from app.conversation import turn
from app.conversation.commit import commit
from app.conversation.draft import Draft
from app.conversation.sending import Sending
from app.conversation.services import Services
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


async def test_what_a_step_gave_is_kept_however_long_storing_it_takes(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn's time is over while the first of two results is being stored."""

    async def bot(chat: Chat) -> None:
        await chat.steps(call(len, chat.message.text), waits_for_ever)

    async def slowly(services: Services, draft: Draft, *, turn: bool) -> Sending | None:
        if any(entry["kind"] == "result" for entry in draft.changes.journal):
            await asyncio.sleep(0.5)
        return await commit(services, draft, turn=turn)

    play = scene(engine, bot, turn_timeout=0.4)
    monkeypatch.setattr(turn, "commit", slowly)
    await play.says("hello")
    await play.work()
    entries = await play.rows("SELECT position, kind FROM journal ORDER BY position")
    assert [entry.position for entry in entries] == list(range(len(entries)))
    assert "result" in {entry.kind for entry in entries}
    assert await play.value("SELECT count(*) FROM dialog WHERE error LIKE 'TurnTimedOut%'") == 1
