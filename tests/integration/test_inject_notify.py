"""Events of services in the conversation: inject gives the bot an input, notify speaks to the user."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.gateway.outcome import Refused, Retry, Sent
from app.worker.tidy import Tidy
from tests.integration.scene import Scene, scene


async def bot(chat: Chat) -> None:
    await chat.say(f"started by {chat.message.kind}")
    got = await chat.receive()
    await chat.say(f"{got.kind} {got.text} {dict(got.data)} {got.user_id}")
    await chat.handover("101")
    got = await chat.receive()
    await chat.say(f"{got.kind} {got.text}")


async def called(play: Scene, kind: str, text: str, **data: Any) -> None:
    """A service called."""
    told = {"userId": "u1", "sessionId": play.conversation, "text": text, "data": data}
    event = {"eventType": f"PARLEY_{kind}", "conversationId": play.conversation, "data": told}
    await play.post(event)
    await play.work()


async def members(play: Scene, change: str) -> None:
    """An agent comes or goes."""
    data = {"memberType": "agent", "change": change, "id": "a1"}
    await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation, "data": data})
    await play.work()


async def test_inject_satisfies_receive_and_waits_while_a_human_has_the_conversation(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, bot, handover={"queue": "101"})
    await play.says("hi")
    await play.work()
    await called(play, "INJECT", "paid", order=7)
    assert play.gateway.texts == ["started by text", "inject paid {'order': 7} u1"]
    await members(play, "joined")
    await called(play, "INJECT", "shipped")
    assert await play.value("SELECT outcome FROM event ORDER BY id DESC LIMIT 1") == "held"
    later = "SELECT due_at > now() + interval '1 minute' FROM conversation"
    assert await play.value(later) is not False, "a held event makes nobody busy"
    await members(play, "left")
    await play.later(60)
    assert play.gateway.texts[2:] == ["inject shipped"]
    lines = await play.rows("SELECT author, kind, text FROM message WHERE author = 'system' ORDER BY id")
    assert [tuple(row) for row in lines] == [("system", "inject", "paid"), ("system", "inject", "shipped")]


async def test_inject_starts_the_bot_and_is_no_user_input_to_the_sessions_clock(engine: AsyncEngine) -> None:
    play = scene(engine, bot, session_expiration=60)
    await play.says("hi")
    await play.work()
    play.clock.forward(50)
    await called(play, "INJECT", "paid")
    before = await play.value("SELECT last_input_at FROM session")
    assert (play.clock() - before).total_seconds() >= 50


async def test_notify_goes_to_the_user_and_leaves_the_bot_alone(engine: AsyncEngine) -> None:
    play = scene(engine, bot)
    await play.says("hi")
    await play.work()
    await called(play, "NOTIFY", "Your parcel is here")
    await called(play, "NOTIFY", "", attachments=[{"id": "f1"}])
    assert play.gateway.texts == ["started by text", "Your parcel is here", ""]
    assert play.gateway.requests[-1][2] == {"attachments": [{"id": "f1"}], "authorType": "bot"}
    assert await play.value("SELECT count(*) FROM journal WHERE kind = 'input'") == 1


async def test_notify_that_meets_a_human_is_refused_and_told(engine: AsyncEngine) -> None:
    play = scene(engine, bot, handover={"queue": "101"})
    await play.says("hi")
    await play.says("agent")
    await play.work()
    await members(play, "joined")
    await called(play, "NOTIFY", "Your parcel is here")
    assert "Your parcel is here" not in play.gateway.texts
    assert await play.value("SELECT outcome FROM event ORDER BY id DESC LIMIT 1") == "refused"
    assert await play.value("SELECT kind FROM incident") == "notify_refused"


async def test_what_was_sent_outside_of_a_session_is_erased_where_texts_go_with_it(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, bot, collect_conversations=False)
    play.gateway.answers = [
        Retry(None, 503, "later"),
        Sent(202),
        Refused(400, "not allowed: zanzibar-second"),
        Retry(None, 503, "later: zanzibar-third"),
    ]
    for text in ("zanzibar-first", "zanzibar-second", "zanzibar-third"):
        await called(play, "NOTIFY", text)
        await play.later(2)
    assert await play.statuses() == ["sent", "dead", "sent"]
    await called(play, "NOTIFY", "zanzibar-fourth")
    waits = "UPDATE delivery SET status = 'waiting', ended_at = NULL WHERE content->>'text' LIKE '%fourth'"
    async with engine.begin() as connection:
        await connection.execute(sql(waits))
    assert await play.value("SELECT count(*) FROM session") == 0
    await Tidy(play.services).run()
    rows = await play.rows("SELECT content, reason FROM delivery ORDER BY place")
    assert [row[0].get("text") for row in rows] == [None, None, None, "zanzibar-fourth"]
    assert rows[1][1] == "refused with 400"
    assert await play.value("SELECT count(*) FROM delivery_attempt WHERE error IS NOT NULL") == 0


async def test_what_was_sent_outside_of_a_session_stays_where_texts_stay(engine: AsyncEngine) -> None:
    play = scene(engine, bot)
    await called(play, "NOTIFY", "Your parcel is here")
    await Tidy(play.services).run()
    assert await play.value("SELECT content->>'text' FROM delivery") == "Your parcel is here"
