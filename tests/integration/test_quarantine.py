"""What is set aside because it kills workers: redriven while its session lasts, masked when that is over."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.lapse import end_lapsed
from app.conversation.quarantine import DEATHS_ALLOWED
from app.conversation.redrive_inputs import redrive_inputs
from app.database.tables import metadata
from tests.integration.scene import Scene, scene

SECRET = "zanzibar-text"


async def echo(chat: Chat) -> None:
    await chat.say(f"You said {chat.message.text}")


async def set_aside(engine: AsyncEngine, *, known: bool, **settings: Any) -> Scene:
    """A conversation that killed its workers with a message; `known`: after one that was answered."""
    play = scene(engine, echo, session_expiration=60, **settings)
    if known:
        await play.says("hello")
        await play.work()
    await play.says(SECRET)
    async with engine.begin() as connection:
        deaths = text("UPDATE conversation SET deaths = :deaths, owner = NULL")
        await connection.execute(deaths, {"deaths": DEATHS_ALLOWED})
    await play.work()
    assert await play.value("SELECT count(*) FROM event WHERE outcome = 'quarantined'") == 1
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET owner = NULL"))
    return play


async def holding(play: Scene) -> set[str]:
    """Tables that hold the secret."""
    found = set()
    for name in metadata.tables:
        for row in await play.rows(f"SELECT CAST(t AS text) || CAST(to_jsonb(t) AS text) FROM {name} t"):
            if SECRET in row[0] or SECRET.encode().hex() in row[0]:
                found.add(name)
    return found


MASKS: list[dict[str, Any]] = [{"mask_sensitive_analytics": True}, {"collect_conversations": False}]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("settings", MASKS)
async def test_what_is_set_aside_is_erased_when_its_session_is_over(
    engine: AsyncEngine, known: bool, settings: dict[str, Any]
) -> None:
    play = await set_aside(engine, known=known, **settings)
    assert await holding(play) == {"event"}
    assert await end_lapsed(play.services) == 0
    assert await holding(play) == {"event"}, "while the session lasts it can be redriven"
    play.clock.forward(61)
    assert await end_lapsed(play.services) == 1
    assert await holding(play) == set()
    assert await play.value("SELECT count(*) FROM session WHERE erase AND erased_at IS NULL") == 0
    assert await redrive_inputs(engine, 1) == [], "there is nothing left to handle"
    assert await play.value("SELECT quarantined_at FROM conversation") is None


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("settings", [*MASKS, {}])
async def test_within_its_session_it_is_handled_after_all(
    engine: AsyncEngine, known: bool, settings: dict[str, Any]
) -> None:
    play = await set_aside(engine, known=known, **settings)
    assert len(await redrive_inputs(engine, 1) or []) == 1
    await play.work()
    assert play.gateway.texts[-1] == f"You said {SECRET}"


async def test_without_masks_it_waits_for_a_redrive_as_long_as_events_are_kept(engine: AsyncEngine) -> None:
    play = await set_aside(engine, known=False)
    play.clock.forward(61)
    assert await end_lapsed(play.services) == 1
    assert "event" in await holding(play)
    assert len(await redrive_inputs(engine, 1) or []) == 1
    await play.work()
    assert play.gateway.texts[-1] == f"You said {SECRET}"
