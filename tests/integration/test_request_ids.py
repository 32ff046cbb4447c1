"""A request's id is on what the worker logs while it handles it."""

from __future__ import annotations

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.bot import Chat
from tests.integration.scene import scene


def logs() -> None:
    structlog.get_logger("a.step").warning("looked_up")


async def bot(chat: Chat) -> None:
    await chat.step(logs)
    await chat.receive()


async def test_what_is_logged_of_a_turn_names_the_event_it_answers(engine: AsyncEngine) -> None:
    play = scene(engine, bot)
    await play.says("hi")
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        await play.work()
    (line,) = [each for each in logged if each["event"] == "looked_up"]
    assert line["request"] == await play.value("SELECT event_id FROM event")
