"""`collect_analytics: false`: the bot goes on as ever, and no view and no count tells of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.collecting import note_collecting
from app.analytics.rollup import roll_up
from app.analytics.views import VIEWS
from app.bot import Chat
from tests.integration.scene import Scene, endpoint, scene

#: What the views tell of things that happened; the others are counts of these.
COUNTED = {"Hours", "Latency", "Parts"}


async def talkative(chat: Chat) -> None:
    chat.intent("help")
    chat.understood(False)
    await chat.say(f"You said {chat.message.text}")
    await chat.receive()
    await chat.handover("101", message="Please wait")


async def meet(play: Scene, conversation: str) -> None:
    """A user tells who it is, talks and is handed over."""
    play.conversation = conversation
    user = {"userId": f"user-of-{conversation}", "name": "Ann", "language": "de"}
    data = {"state": "active", "channel": "WebChat", "user": user}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": conversation, "data": data})
    for word in ("hello", "agent"):
        await play.says(word)
        await play.work()


async def seen(play: Scene) -> dict[str, int]:
    """Rows of each view and of each count, once the hours are counted."""
    now = datetime.now(UTC)
    async with play.engine.begin() as connection:
        session = (
            "INSERT INTO session_run (session_id, conversation_id, name) "
            "SELECT s.id, s.conversation_id, 'a run' FROM session s "
            "WHERE s.id NOT IN (SELECT session_id FROM session_run)"
        )
        await connection.exec_driver_sql(session)
    await roll_up(play.engine, now=now + timedelta(seconds=1))
    return {name: await play.value(f"SELECT count(*) FROM {view.table.name}") for name, view in VIEWS.items()}


async def test_an_endpoint_that_never_collected_is_in_no_view_and_no_count(
    engine: AsyncEngine, database_url: str
) -> None:
    play = scene(engine, talkative, collect_analytics=False, handover={"queue": "101"})
    await play.says("stored before the first worker was there")
    await note_collecting(database_url, [endpoint(collect_analytics=False)])
    await play.work()
    await meet(play, "A")
    assert {"You said hello", "Please wait"} <= set(play.gateway.texts), "the bot had all it needed"
    assert await play.value("SELECT count(*) FROM handover") == 1
    assert await play.value("SELECT count(*) FROM session") == 2
    assert await play.value("SELECT count(*) FROM mark") == 0
    assert {name: rows for name, rows in (await seen(play)).items() if rows} == {}


async def test_with_the_setting_on_every_view_has_rows(engine: AsyncEngine, database_url: str) -> None:
    play = scene(engine, talkative, handover={"queue": "101"})
    await note_collecting(database_url, [endpoint()])
    await meet(play, "A")
    rows = await seen(play)
    assert [name for name in VIEWS if not rows[name]] == []
    assert await play.value("SELECT count(*) FROM uncounted") == 0


async def test_only_what_began_while_it_was_off_is_left_out(engine: AsyncEngine, database_url: str) -> None:
    play = scene(engine, talkative, handover={"queue": "101"})
    await note_collecting(database_url, [endpoint()])
    await meet(play, "A")
    before = await seen(play)
    await note_collecting(database_url, [endpoint(collect_analytics=False)])
    await note_collecting(database_url, [endpoint(collect_analytics=False)])  # another process says so too
    await meet(play, "B")
    play.conversation = "A"
    await play.says("while it is off")
    await play.work()
    assert await seen(play) == before
    assert await sums(play) == await raw_counts(play, "A")

    await note_collecting(database_url, [endpoint()])
    await meet(play, "C")
    after = await seen(play)
    for name in VIEWS.keys() - COUNTED - {"Contacts", "Conversations"}:
        assert after[name] == 2 * before[name], name
    shown = await play.rows("SELECT external_id FROM analytics_conversations ORDER BY 1")
    assert [row[0] for row in shown] == ["A", "C"]
    assert [row[0] for row in await play.rows("SELECT identity FROM analytics_contacts ORDER BY 1")] == [
        "user:user-of-A",
        "user:user-of-C",
    ]


async def test_a_known_conversation_is_there_with_its_counted_sessions_alone(
    engine: AsyncEngine, database_url: str
) -> None:
    play = scene(engine, talkative, handover={"queue": "101"})
    await note_collecting(database_url, [endpoint(collect_analytics=False)])
    await play.says("hello")
    await play.work()
    await leave(play)
    await note_collecting(database_url, [endpoint()])
    await play.says("hello again")
    await play.work()
    (row,) = await play.rows("SELECT sessions, user_messages, bot_messages FROM analytics_conversations")
    assert tuple(row) == (1, 1, 1)
    assert await play.value("SELECT number FROM analytics_sessions") == 2
    hours = await sums(play)
    assert (hours["sessions"], hours["returning_contacts"]) == (1, 0)


async def leave(play: Scene) -> None:
    """The user leaves."""
    left = {"memberType": "user", "change": "left", "id": "u"}
    await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation, "data": left})
    await play.work()


async def sums(play: Scene) -> dict[str, Any]:
    """All hours' counts together."""
    await seen(play)
    names = ("sessions", "events", "turns", "messages_user", "deliveries", "handovers", "returning_contacts")
    columns = ", ".join(f"CAST(COALESCE(sum({name}), 0) AS bigint) AS {name}" for name in names)
    (row,) = await play.rows(f"SELECT {columns} FROM analytics_hours")
    return dict(row._mapping)


async def raw_counts(play: Scene, conversation: str) -> dict[str, Any]:
    """The same of one conversation, from the tables, without what was said while the setting was off."""

    async def count(table: str, condition: str = "true") -> int:
        return int(
            await play.value(
                f"SELECT count(*) FROM {table} t JOIN conversation c ON c.id = t.conversation_id "
                f"WHERE c.external_id = :c AND ({condition})",
                c=conversation,
            )
        )

    said = "t.payload #>> '{data,text}' IS DISTINCT FROM 'while it is off'"
    return {
        "sessions": await count("session"),
        "events": await count("event", said),
        "turns": await count("event", f"t.outcome = 'input' AND {said}"),
        "messages_user": await count("message", "t.author = 'user' AND t.text <> 'while it is off'"),
        "deliveries": await count("delivery"),
        "handovers": await count("handover"),
        "returning_contacts": 0,
    }
