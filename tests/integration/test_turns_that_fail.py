"""A turn that fails leaves nothing under way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation import turn
from app.conversation.commit import commit
from app.conversation.draft import Draft
from app.conversation.outbox import Outbox
from app.conversation.sending import Sending
from app.conversation.services import PlainHost, Services
from app.gateway.outcome import Outcome
from tests.integration.scene import scene


async def looks_up() -> int:
    return 1


async def bot(chat: Chat) -> None:
    await chat.say("One moment…")
    await chat.step(looks_up)
    await chat.say("There")


async def test_what_was_being_sent_is_settled_when_the_turn_has_failed(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = scene(engine, bot)
    failed = asyncio.Event()

    async def send(*arguments: Any, **named: Any) -> Outcome:
        await failed.wait()
        return await accept(*arguments, **named)

    async def commit_once(services: Services, draft: Draft, *, turn: bool = False) -> Sending | None:
        if turn:
            failed.set()
            raise OperationalError("x", None, Exception("the database blinked"))
        return await commit(services, draft)

    accept, play.gateway.send = play.gateway.send, send  # type: ignore[method-assign]
    await play.says("hello")
    state = await play.claim()
    assert state is not None
    turns = turn.Turns(play.services, state, Outbox(play.services, state))
    with monkeypatch.context() as patched:
        patched.setattr(turn, "commit", commit_once)
        await turns.look()
        with pytest.raises(OperationalError):
            await turns.handle(PlainHost())
    assert await play.statuses() == ["sent"]
    assert play.gateway.texts == ["One moment…"]
