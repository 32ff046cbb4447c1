"""Counts by the hour: they agree with the raw rows, whenever and however often they are computed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics import hours
from app.analytics.hours import HOUR, LATE
from app.analytics.measures import COUNTED
from app.analytics.rollup import roll_up
from app.bot import Chat
from app.conversation.redrive import redrive
from app.gateway.outcome import Refused
from tests.integration.scene import Scene, scene

SETTINGS: dict[str, Any] = {"queue": "101", "return_assignment": {"type": "script", "id": "2001"}}


def _raw(table: str, condition: str = "true", value: str = "count(*)") -> str:
    return (
        f"SELECT {value} FROM {table} x JOIN conversation c ON c.id = x.conversation_id "
        f"WHERE NOT c.is_test AND ({condition})"
    )


_FIRST = "(SELECT min(m.at) FROM message m WHERE m.session_id = x.id AND m.author IN ('bot', 'agent'))"
_ANSWERS = "FROM delivery d WHERE d.event_id = x.id AND d.kind = 'message'"

#: What the roll-ups must agree with, counted from the raw tables in other words.
RAW = {
    "conversations": _raw("session", value="count(DISTINCT x.conversation_id)"),
    "sessions": _raw("session"),
    "contained": _raw("session", "x.id NOT IN (SELECT session_id FROM handover)"),
    "turns": _raw("event", "x.outcome = 'input'"),
    "events": _raw("event"),
    "messages_user": _raw("message", "x.author = 'user'"),
    "messages_bot": _raw("message", "x.author = 'bot'"),
    "messages_agent": _raw("message", "x.author = 'agent'"),
    "handovers": _raw("handover"),
    "handovers_completed": _raw("handover", "x.status = 'completed'"),
    "handovers_active": _raw("handover", "x.active_at IS NOT NULL"),
    "waiting_seconds": _raw("handover", value="sum(extract(epoch FROM x.active_at - x.requested_at))"),
    "handling_seconds": _raw("handover", value="sum(extract(epoch FROM x.ended_at - x.active_at))"),
    "deliveries": _raw("delivery"),
    "deliveries_sent": _raw("delivery", "x.status = 'sent'"),
    "deliveries_dead": _raw("delivery", "x.status = 'dead'"),
    "retries": _raw(
        "(SELECT d.conversation_id FROM delivery d JOIN delivery_attempt a ON a.delivery_id = d.id "
        "WHERE a.number > 1)"
    ),
    "understood": _raw("mark", "x.kind = 'understood' AND x.value = 'true'"),
    "not_understood": _raw("mark", "x.kind = 'understood' AND x.value = 'false'"),
    "returning_contacts": _raw(
        "session",
        "EXISTS (SELECT 1 FROM session o JOIN conversation oc ON oc.id = o.conversation_id "
        "WHERE oc.contact_id = c.contact_id AND o.id < x.id)",
    ),
    "first_replies": _raw("session", f"{_FIRST} IS NOT NULL"),
    "first_reply_seconds": _raw(
        "session", value=f"sum(GREATEST(extract(epoch FROM {_FIRST} - x.started_at), 0))"
    ),
    "unanswered": _raw("event", f"x.outcome = 'input' AND (SELECT count(*) {_ANSWERS}) = 0"),
    "replies": _raw("event", f"(SELECT d.sent_at {_ANSWERS} ORDER BY d.place LIMIT 1) IS NOT NULL"),
    "latency_seconds": _raw(
        "event",
        value=f"sum(extract(epoch FROM (SELECT d.sent_at {_ANSWERS} ORDER BY d.place LIMIT 1) "
        "- x.received_at))",
    ),
    "handovers_cancelled": _raw("handover", "x.status = 'cancelled'"),
    "handovers_failed": _raw("handover", "x.status = 'failed'"),
    "handovers_timed_out": _raw("handover", "x.status = 'timed_out'"),
    "handlings": _raw("handover", "x.active_at IS NOT NULL AND x.ended_at IS NOT NULL"),
    "deliveries_withheld": _raw("delivery", "x.status = 'withheld'"),
    "dialogs": _raw("dialog"),
    "dialogs_failed": _raw("dialog", "x.status IN ('failed', 'diverged')"),
}


async def clerk(chat: Chat) -> None:
    wish = chat.message.text
    chat.understood(wish != "??")
    chat.intent("help")
    if wish == "person":
        await chat.handover()
        await chat.say("back")
    elif wish == "crash":
        raise ValueError("no")
    else:
        await chat.ask("More?")
        chat.goal("served")
        await chat.say("Done.")


async def lively(engine: AsyncEngine) -> Scene:
    """Some conversations of most kinds."""
    play = scene(engine, clerk, handover=SETTINGS, session_expiration=0)
    told = {"state": "created", "channel": "WebChat", "user": {"userId": "u1", "language": "de-CH"}}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": "ID-0", "data": told})
    for number, words in enumerate(["hello", "??", "crash", "person"]):
        play.conversation = f"ID-{number}"
        await play.says(words)
        await play.work()
    await play.post({"eventType": "QUEUED", "conversationId": play.conversation, "data": {"queueId": "101"}})
    await member(play, "joined")
    await play.post(
        {
            "eventType": "MESSAGE",
            "conversationId": play.conversation,
            "data": {"isEcho": False, "sender": {"id": "a", "type": "agent"}, "text": "Yes?"},
        }
    )
    await play.work()
    play.conversation = "ID-0"
    play.gateway.answers = [Refused(400, "no")]
    await play.says("more")
    await play.work()
    play.conversation = "ID-9"
    await play.says("a test")
    await play.work()
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET is_test = true WHERE external_id = 'ID-9'"))
    return play


async def member(play: Scene, change: str) -> None:
    data = {"memberType": "agent", "change": change, "id": "a"}
    await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation, "data": data})


async def agree(play: Scene) -> None:
    """Raw rows and roll-ups say the same."""
    assert set(RAW) == set(COUNTED)
    raw = {name: float(await play.value(query) or 0) for name, query in RAW.items()}
    sums = ", ".join(f"sum({name}) AS {name}" for name in RAW)
    rolled = (await play.rows(f"SELECT {sums} FROM analytics_hours"))[0]._mapping
    assert {name: round(float(rolled[name] or 0), 3) for name in RAW} == {
        name: round(value, 3) for name, value in raw.items()
    }
    latencies = await play.rows(
        "SELECT latency_seconds FROM analytics_turns WHERE replied_at IS NOT NULL AND NOT is_test"
    )
    assert await play.value("SELECT sum(replies) FROM analytics_latency") == len(latencies)
    assert float(await play.value("SELECT sum(latency_seconds) FROM analytics_hours")) == pytest.approx(
        sum(row[0] for row in latencies)
    )


async def test_raw_and_rolled_up_agree(engine: AsyncEngine) -> None:
    play = await lively(engine)
    await roll_up(engine, now=datetime.now(UTC))
    await agree(play)
    assert await play.value("SELECT sum(sessions) FROM analytics_hours") == 4
    assert await play.value("SELECT sum(not_understood) FROM analytics_hours") == 1
    assert await play.value("SELECT sum(deliveries_dead) FROM analytics_hours") == 1


async def test_a_second_run_changes_nothing(engine: AsyncEngine) -> None:
    play = await lively(engine)
    everything = "SELECT to_jsonb(r) FROM {} r ORDER BY 1"
    tables = ("rollup_hour", "rollup_latency", "rollup_part")
    await roll_up(engine, now=datetime.now(UTC))
    first = [await play.rows(everything.format(table)) for table in tables]
    await roll_up(engine, now=datetime.now(UTC))
    assert [await play.rows(everything.format(table)) for table in tables] == first
    assert all(first)


async def test_a_run_that_breaks_off_is_continued(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = await lively(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE session SET started_at = started_at - interval '5 hours'"))
    now = datetime.now(UTC)

    class Broken(Exception):
        pass

    def breaks(hour: datetime) -> None:
        if len(done) == 2:
            raise Broken
        done.append(hour)

    done: list[datetime] = []
    with pytest.raises(Broken):
        await roll_up(engine, now=now, on_hour=breaks)
    assert await play.value("SELECT count(*) FROM rollup_progress") == 3
    rest = await roll_up(engine, now=now)
    assert rest.hours >= 3
    await agree(play)


async def test_an_hour_that_is_over_is_settled_and_left_alone(engine: AsyncEngine) -> None:
    play = await lively(engine)
    play.conversation = "ID-3"
    await member(play, "left")
    play.gateway.assigned = {"type": "script", "id": "2001"}
    await play.work()
    await play.later(4)
    later = datetime.now(UTC) + timedelta(hours=6)
    await roll_up(engine, now=later)
    assert (
        await play.value(
            "SELECT count(*) FROM rollup_progress WHERE NOT settled AND hour < :h",
            h=later - HOUR - LATE,
        )
        == 0
    )
    again = await roll_up(engine, now=later)
    assert again.hours <= 3
    await agree(play)


async def test_what_changes_in_a_settled_hour_is_counted_again(engine: AsyncEngine) -> None:
    play = await lively(engine)
    play.conversation = "ID-3"
    await member(play, "left")
    play.gateway.assigned = {"type": "script", "id": "2001"}
    await play.work()
    await play.later(4)
    async with engine.begin() as connection:  # yesterday's
        for statement in (
            "UPDATE session SET started_at = started_at - interval '1 day', "
            "last_input_at = last_input_at - interval '1 day'",
            "UPDATE delivery SET created_at = created_at - interval '1 day'",
        ):
            await connection.execute(text(statement))
    now = datetime.now(UTC)
    await roll_up(engine, now=now)
    await agree(play)
    assert await play.value("SELECT sum(deliveries_dead) FROM analytics_hours") == 1
    assert await play.value("SELECT count(*) FROM rollup_progress WHERE NOT settled") <= 3
    dead = await play.value("SELECT id FROM delivery WHERE status = 'dead'")
    play.conversation = "ID-1"
    await play.says("no")  # answers "More?"
    await play.work()
    await play.says("person")
    await play.work()
    assert (await redrive(engine, ids=[dead], may_duplicate=True)).redriven == [dead]
    play.conversation = "ID-0"
    await play.work()
    await roll_up(engine, now=datetime.now(UTC))
    await agree(play)
    assert await play.value("SELECT sum(deliveries_dead) FROM analytics_hours") == 0
    assert await play.value("SELECT sum(sessions) - sum(contained) FROM analytics_hours") == 2


async def test_what_retention_deletes_stays_counted(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "FINAL", timedelta(days=2))  # each hour until then is looked at
    play = await lively(engine)
    now = datetime.now(UTC)
    await roll_up(engine, now=now)
    before = await play.value("SELECT sum(sessions) FROM analytics_hours")
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM conversation"))
    await roll_up(engine, now=now + timedelta(days=2, hours=2))
    assert await play.value("SELECT sum(sessions) FROM analytics_hours") == before == 4


async def test_parts_say_what_there_were_many_of(engine: AsyncEngine) -> None:
    play = await lively(engine)
    await roll_up(engine, now=datetime.now(UTC))
    found = {
        (row.measure, row.part): row.count
        for row in await play.rows(
            "SELECT measure, part, sum(count) AS count FROM analytics_parts GROUP BY 1, 2"
        )
    }
    assert found["intent", "help"] == 4
    assert found["goal", "served"] == 1
    assert found["handover", "active"] == 1
    assert found["queue", "101"] == 1
    assert found["event", "MESSAGE"] == 6
    assert next(part for measure, part in found if measure == "bot_error").startswith(
        "tests.bots:bot: ValueError"
    )
    assert any(measure == "dead_letter" for measure, _ in found)
    assert found["language", "de-CH"] == 1


async def test_parts_say_where_users_left(engine: AsyncEngine) -> None:
    play = await lively(engine)
    play.conversation = "ID-1"
    idle = {"eventType": "CONVERSATION_UPDATE", "conversationId": "ID-1", "data": {"state": "idle"}}
    await play.post(idle)
    await play.work()
    await roll_up(engine, now=datetime.now(UTC))
    parts = "SELECT part, count FROM analytics_parts WHERE measure = 'drop_off'"
    assert [tuple(row) for row in await play.rows(parts)] == [("intent help", 1)]


BUCKETS = """
    SELECT s, analytics_bucket_seconds(analytics_bucket(s))
    FROM (SELECT 0.002 + CAST(n * 0.037 AS double precision) AS s FROM generate_series(0, 500) n) x"""


async def test_percentiles_off_the_buckets_are_within_a_twentieth(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        rows = await connection.execute(text(BUCKETS))
        assert all(abs(middle / true - 1) <= 0.05 for true, middle in rows)
