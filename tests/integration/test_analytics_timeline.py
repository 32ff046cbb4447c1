"""One timeline: what happened in a conversation, whatever it was, in one view and on the console's page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.console.story import read_story
from app.gateway.outcome import Refused
from tests.integration.scene import Scene, scene

BACK: dict[str, Any] = {"queue": "101", "return_assignment": {"type": "script", "id": "2001"}}

#: What a conversation does not do by itself here: a run, a file, an incident and an interaction.
_MORE = (
    "INSERT INTO session_run (session_id, conversation_id, name, flow_run_id, turns) "
    "SELECT id, conversation_id, 'a run', gen_random_uuid(), 3 FROM session",
    "INSERT INTO file (key, endpoint, conversation_id, position, direction, name, type, size, state, scan) "
    "VALUES ('k', 'support', 1, 0, 'in', 'my-secret.pdf', 'application/pdf', 17, 'stored', 'clean')",
    "INSERT INTO incident (endpoint, conversation_id, kind) VALUES ('support', 1, 'dead_air')",
    "INSERT INTO interaction (conversation_id, interaction_id, started_at, ended_at) "
    "VALUES (1, 'int-17', now() - interval '1 minute', now())",
)


async def clerk(chat: Chat) -> None:
    chat.intent("help")
    await chat.step(len, chat.message.text, name="look-up")
    await chat.say("One moment…")
    await chat.handover()
    await chat.say("Back again.")


@pytest.fixture
async def play(engine: AsyncEngine) -> Scene:
    """A conversation in which about everything happens."""
    play = scene(engine, clerk, handover=BACK, session_expiration=0)
    play.gateway.answers = [Refused(400, "no")]
    await play.says("hello")
    for _ in range(3):
        await play.work()
    joined = {"memberType": "agent", "change": "joined", "id": "agent-7"}
    for event in (
        {"eventType": "QUEUED", "data": {"queueId": "101"}},
        {"eventType": "MEMBERS_CHANGED", "data": joined},
    ):
        await play.post({"conversationId": play.conversation, **event})
        await play.work()
    async with engine.begin() as connection:
        for statement in _MORE:
            await connection.execute(text(statement))
    return play


async def timeline(play: Scene) -> list[dict[str, Any]]:
    rows = await play.rows("SELECT * FROM analytics_timeline WHERE conversation_id = 1 ORDER BY at")
    return [dict(row._mapping) for row in rows]


async def test_everything_that_happened_is_there_and_nothing_that_was_said(play: Scene) -> None:
    await end_session(play)
    rows = await timeline(play)
    kinds = "webhook turn dialog step file delivery attempt handover agent mark run incident interaction"
    assert {row["what"] for row in rows} == set(kinds.split())
    assert {row["external_id"] for row in rows} == {play.conversation}
    of = {row["what"]: row for row in rows}
    assert of["interaction"]["about"] == "int-17" and of["interaction"]["seconds"] == pytest.approx(60)
    assert of["file"]["about"] == "from the user, application/pdf"
    assert of["file"]["note"] == "stored, 17 bytes, scanned"
    assert of["agent"]["about"] == "joined agent-7"
    assert of["run"]["flow_run_id"] is not None
    for said in ("hello", "One moment", "my-secret"):
        assert said not in str(rows)


async def test_the_page_shows_the_same(play: Scene) -> None:
    await end_session(play)
    story = await read_story(play.engine, 1, None)
    assert story is not None
    shown = sorted((row["at"], row["what"], row["about"], row["note"]) for row in story.happenings)
    assert shown == sorted(
        (row["at"], row["what"], row["about"], row["note"]) for row in await timeline(play)
    )


async def test_steps_are_told_once_their_session_has_ended(play: Scene) -> None:
    assert "step" not in {row["what"] for row in await timeline(play)}
    await end_session(play)
    assert "step" in {row["what"] for row in await timeline(play)}


async def test_what_began_while_the_endpoint_did_not_collect_is_not_there(play: Scene) -> None:
    async with play.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO uncounted (endpoint, since) SELECT endpoint, '-infinity' FROM conversation")
        )
    assert await timeline(play) == []


async def end_session(play: Scene) -> None:
    async with play.engine.begin() as connection:
        await connection.execute(
            text("UPDATE session SET ended_at = :now, end_reason = 'ended'"), {"now": datetime.now(UTC)}
        )
