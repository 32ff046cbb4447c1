"""When a session ends, and what ends with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation import lapse
from app.conversation.lapse import end_lapsed
from tests.integration.scene import Scene, scene


async def asks(chat: Chat) -> None:
    chat.session["asked"] = chat.session.get("asked", 0) + 1
    await chat.say(f"Question {chat.session['asked']}")
    await chat.receive()
    await chat.say("Thanks")
    await chat.receive()


def update(play: Scene, state: str, **data: Any) -> dict[str, Any]:
    """A CONVERSATION_UPDATE."""
    return {
        "eventType": "CONVERSATION_UPDATE",
        "conversationId": play.conversation,
        "data": {"state": state, "channel": "WebChat", **data},
    }


async def ends(play: Scene) -> list[tuple[int, str | None]]:
    """Number and end of each session."""
    rows = await play.rows("SELECT number, end_reason FROM session ORDER BY number")
    return [(row[0], row[1]) for row in rows]


async def test_a_bot_ends_its_session_and_the_next_input_begins_another(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.session["n"] = chat.session.get("n", 0) + 1
        await chat.say(f"{chat.session['n']}")
        await chat.receive()
        await chat.say("Bye")
        await chat.end()
        await chat.say("never said")

    play = scene(engine, bot)
    for word in ("hi", "bye", "hi again"):
        await play.says(word)
        await play.work()
    assert play.gateway.texts == ["1", "Bye", "1"]
    assert await ends(play) == [(1, "ended"), (2, None)]
    statuses = await play.rows("SELECT status FROM dialog ORDER BY id")
    assert [row[0] for row in statuses] == ["completed", "waiting"]
    sessions = await play.rows(
        "SELECT s.number, m.author FROM message m JOIN session s ON s.id = m.session_id ORDER BY m.id"
    )
    assert [tuple(row) for row in sessions] == [
        (1, "user"),
        (1, "bot"),
        (1, "user"),
        (1, "bot"),
        (2, "user"),
        (2, "bot"),
    ]


async def test_expiration_counts_from_the_newest_input_to_the_next(engine: AsyncEngine) -> None:
    play = scene(engine, asks, session_expiration=60)
    start = play.clock()
    for seconds in (0, 59, 118, 179):  # the last one 61 s after the one before
        await play.says("x", received=start + timedelta(seconds=seconds))
        await play.work()
    assert await ends(play) == [(1, "expired"), (2, None)]


async def test_expiration_0_never_ends_a_session(engine: AsyncEngine) -> None:
    play = scene(engine, asks, session_expiration=0)
    await play.says("x")
    await play.work()
    await play.says("y", received=play.clock() + timedelta(days=30))
    await play.work()
    assert await ends(play) == [(1, None)]


async def test_a_receive_with_a_timeout_that_still_runs_keeps_the_session(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        await chat.receive(timeout=timedelta(hours=2))
        await chat.say("still here")

    play = scene(engine, bot, session_expiration=60)
    await play.says("x")
    await play.work()
    await play.says("y", received=play.clock() + timedelta(hours=1))
    await play.work()
    assert play.gateway.texts == ["still here"]
    assert await ends(play) == [(1, None)]


async def test_a_step_that_takes_long_expires_no_session(engine: AsyncEngine) -> None:
    play: Scene

    def slow() -> None:
        play.clock.forward(120)

    async def bot(chat: Chat) -> None:
        await chat.step(slow)
        await chat.receive()
        await chat.say("same session")

    play = scene(engine, bot, session_expiration=60)
    await play.says("x")
    await play.says("y")
    await play.work()
    assert play.gateway.texts == ["same session"]
    assert await ends(play) == [(1, None)]


async def test_a_handover_keeps_the_session_however_long_it_takes(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.session["n"] = 7
        await chat.handover("101")
        await chat.say(f"back {chat.session['n']}")
        await chat.receive()
        await chat.say("go on")

    play = scene(engine, bot, session_expiration=60, handover={"queue": "101"})
    await play.says("agent please")
    await play.work()
    agent = {"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation}
    await play.post({**agent, "data": {"memberType": "agent", "change": "joined", "id": "a1"}})
    await play.work()
    play.clock.forward(3600)
    await play.says("are you there?")
    await play.work()
    assert await ends(play) == [(1, None)]
    assert await play.value("SELECT control FROM conversation") == "human"


async def after_a_long_handover(engine: AsyncEngine) -> Scene:
    """An agent had the conversation for 40 minutes and has just let go; the bot asks how it was."""

    async def bot(chat: Chat) -> None:
        await chat.handover("101")
        await chat.say("How was it?")
        await chat.receive()
        await chat.say("Thanks for telling")

    play = scene(engine, bot, session_expiration=1800, handover={"queue": "101"})
    await play.says("agent please")
    await play.work()
    for change, minutes in (("joined", 40), ("left", 1)):
        data = {"memberType": "agent", "change": change, "id": "a1"}
        await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation, "data": data})
        await play.work()
        await play.later(60 * minutes)
    assert play.gateway.texts == ["How was it?"]
    await let_go(play)
    return play


async def let_go(play: Scene) -> None:
    """The worker has closed the conversation: only the clock goes on."""
    async with play.engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET owner = NULL"))


async def test_the_clock_ends_no_session_whose_handover_has_just_ended(engine: AsyncEngine) -> None:
    play = await after_a_long_handover(engine)
    assert await end_lapsed(play.services) == 0
    await play.says("great")
    await play.work()
    assert play.gateway.texts == ["How was it?", "Thanks for telling"]
    assert await ends(play) == [(1, None)]


async def test_the_clock_ends_a_session_once_its_handover_is_over_for_so_long(engine: AsyncEngine) -> None:
    play = await after_a_long_handover(engine)
    play.clock.forward(1900)
    assert await end_lapsed(play.services) == 1
    assert await ends(play) == [(1, "expired")]


async def test_what_happened_since_the_clock_looked_is_seen(engine: AsyncEngine) -> None:
    play = scene(engine, asks, session_expiration=60)
    begun = play.clock()
    await play.says("x", received=begun)
    await play.work()
    (conversation,) = [row[0] for row in await play.rows("SELECT id FROM conversation")]
    play.clock.forward(61)
    looked = begun + timedelta(seconds=61)
    await play.says("y", received=begun + timedelta(seconds=59))
    await play.work()
    await let_go(play)
    assert not await lapse._end(play.services, conversation, looked)
    assert await ends(play) == [(1, None)]


async def test_the_user_leaving_and_idle_end_the_session_with_dialog_and_timers(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        await chat.receive(timeout=600)
        await chat.say("too late")

    play = scene(engine, bot)
    await play.says("x")
    await play.work()
    left = {"memberType": "user", "change": "left", "id": "user-1"}
    await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation, "data": left})
    await play.work()
    await play.says("y")
    await play.work()
    await play.post(update(play, "idle"))
    await play.work()
    assert await ends(play) == [(1, "user_left"), (2, "idle")]
    assert {row[0] for row in await play.rows("SELECT status FROM dialog")} == {"closed"}
    assert await play.value("SELECT count(*) FROM timer WHERE ended_at IS NULL") == 0
    assert await play.value("SELECT due_at FROM conversation") is None


async def test_language_and_locale_are_on_session_and_messages(engine: AsyncEngine) -> None:
    play = scene(engine, asks, locale="fr")
    await play.says("bonjour")
    await play.work()
    await play.post(update(play, "active", user={"userId": "u", "language": "de_ch"}))
    await play.says("grüezi")
    await play.work()
    assert tuple((await play.rows("SELECT language, locale FROM session"))[0]) == ("de", "de-CH")
    spoken = await play.rows("SELECT language FROM message WHERE author = 'user' ORDER BY id")
    assert [row[0] for row in spoken] == ["fr", "de"]
