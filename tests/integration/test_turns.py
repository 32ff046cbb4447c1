"""Turns over a real database: what is handled, once and in order, and what is sent."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from tests.integration.scene import scene


async def asks_name(chat: Chat) -> None:
    name = await chat.ask("Who are you?")
    chat.session["talks"] = chat.session.get("talks", 0) + 1
    await chat.say(f"Hello {name}, talk {chat.session['talks']}")


async def test_a_dialog_goes_on_with_every_message(engine: AsyncEngine) -> None:
    play = scene(engine, asks_name)
    await play.says("hi")
    await play.work()
    assert play.gateway.texts == ["Who are you?"]
    await play.says("Ada")
    await play.work()
    assert play.gateway.texts == ["Who are you?", "Hello Ada, talk 1"]
    await play.says("again")
    await play.says("Bob")
    await play.work()
    assert play.gateway.texts[2:] == ["Who are you?", "Hello Bob, talk 2"]
    assert await play.value("SELECT count(*) FROM event WHERE processed_at IS NULL") == 0
    assert await play.value("SELECT due_at FROM conversation") is None
    assert await play.value("SELECT count(*) FROM delivery WHERE status = 'sent'") == 4
    assert await play.value("SELECT count(*) FROM message WHERE author = 'user'") == 4
