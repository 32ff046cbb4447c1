"""The views: what their columns mean is said wherever it is read, and they say what happened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.views import VIEWS
from app.bot import Chat
from tests.integration.scene import scene

PAGE = Path(__file__).parents[2] / "docs" / "analytics.md"

COLUMNS = """
    SELECT c.table_name, c.column_name, c.data_type,
        col_description(CAST(c.table_name AS regclass), c.ordinal_position) AS comment,
        obj_description(CAST(c.table_name AS regclass)) AS meaning
    FROM information_schema.columns c WHERE c.table_name LIKE 'analytics%'
    ORDER BY c.table_name, c.ordinal_position"""

TYPES = {
    "BIGINT": {"bigint", "integer"},
    "TEXT": {"text"},
    "DATETIME": {"timestamp with time zone"},
    "BOOLEAN": {"boolean"},
    "DOUBLE": {"double precision"},
    "CHAR(32)": {"uuid"},
}


async def columns(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return list(await connection.execute(text(COLUMNS)))


async def test_what_the_code_knows_of_the_views_is_what_the_database_has(engine: AsyncEngine) -> None:
    found = {(row.table_name, row.column_name): row.data_type for row in await columns(engine)}
    known = {
        (view.table.name, column.name): str(column.type) for view in VIEWS.values() for column in view.table.c
    }
    apart = {name for name in found if name[0] == "analytics_timeline"}  # of SQL alone: it has no key
    assert apart and set(known) == set(found) - apart
    in_order = sorted(known, key=lambda name: name[0])
    assert in_order == [name for name in found if name not in apart]
    wrong = [name for name, kind in known.items() if found[name] not in TYPES[kind]]
    assert wrong == []


async def test_every_column_is_explained_in_the_database_and_alike_in_the_docs(engine: AsyncEngine) -> None:
    page = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `(analytics_\w+)`\n\n(.*?)(?=\n#|\Z)", page, re.S | re.M))
    rows = await columns(engine)
    assert all(row.comment and row.meaning for row in rows)
    assert set(sections) == {row.table_name for row in rows}
    for name, section in sections.items():
        of_view = [row for row in rows if row.table_name == name]
        assert section.startswith(of_view[0].meaning), name
        table = re.findall(r"^\| `(\w+)` \| (.*?) \|$", section, re.M)
        assert table == [(row.column_name, row.comment) for row in of_view], name


async def helper(chat: Chat) -> None:
    chat.understood(chat.message.text != "??")
    chat.intent("help")
    size = await chat.step(len, chat.message.text)
    await chat.say(f"{size} characters")
    await chat.receive()
    chat.goal("served")
    await chat.say("Bye.")


@pytest.fixture
async def served(engine: AsyncEngine) -> dict[str, list[dict[str, Any]]]:
    """All rows of all views after a short conversation."""
    play = scene(engine, helper)
    await play.post(
        {
            "eventType": "CONVERSATION_UPDATE",
            "conversationId": play.conversation,
            "data": {
                "state": "created",
                "channel": "WebChat",
                "user": {"userId": "u1", "name": "Ada", "language": "en"},
            },
        }
    )
    await play.says("hello")
    await play.work()
    await play.says("thanks")
    await play.work()
    async with engine.connect() as connection:
        return {
            view.name: [dict(row) for row in (await connection.execute(view.table.select())).mappings()]
            for view in VIEWS.values()
        }


async def test_a_turn_has_its_latency_also_where_a_step_came_before_the_answer(
    served: dict[str, list[dict[str, Any]]],
) -> None:
    first, second = served["Turns"]
    assert first["latency_seconds"] is not None and first["latency_seconds"] > 0
    assert (first["replies"], second["replies"]) == (1, 1)
    assert (first["understood"], first["intent"], first["goal"]) == (True, "help", None)
    assert (second["understood"], second["goal"]) == (None, "served")
    assert first["bot"] == "tests.bots:bot"


async def test_conversation_session_and_contact_say_who_and_how_much(
    served: dict[str, list[dict[str, Any]]],
) -> None:
    (conversation,), (session,), (contact,) = (
        served["Conversations"],
        served["Sessions"],
        served["Contacts"],
    )
    assert (conversation["channel"], conversation["language"]) == ("WebChat", "en")
    assert (conversation["user_messages"], conversation["bot_messages"]) == (2, 2)
    assert (session["turns"], session["contained"], session["outcome"]) == (2, True, "completed")
    assert session["first_reply_seconds"] is not None
    assert (contact["name"], contact["identity"], contact["sessions"]) == ("Ada", "user:u1", 1)
    assert [message["author"] for message in served["Messages"]] == ["user", "bot", "user", "bot"]
    assert [mark["kind"] for mark in served["Marks"]] == ["understood", "intent", "goal"]


async def test_deliveries_and_events_are_there_without_what_was_said(
    served: dict[str, list[dict[str, Any]]],
) -> None:
    assert [row["status"] for row in served["Deliveries"]] == ["sent", "sent"]
    assert [row["turn_id"] for row in served["Deliveries"]] == [row["turn_id"] for row in served["Turns"]]
    assert [row["outcome"] for row in served["Events"]] == ["noted", "input", "input"]
    said = {"payload", "content", "body", "text"}
    assert not said & (set(served["Deliveries"][0]) | set(served["Events"][0]))


async def test_a_session_that_ended_half_way_says_where(engine: AsyncEngine) -> None:
    play = scene(engine, helper)
    await play.says("hello")
    await play.work()
    left = {"memberType": "user", "change": "left", "id": "u"}
    await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation, "data": left})
    await play.work()
    row = (await play.rows("SELECT outcome, drop_off, end_reason FROM analytics_sessions"))[0]
    assert tuple(row) == ("closed", "len", "user_left")
