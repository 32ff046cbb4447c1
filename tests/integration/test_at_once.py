"""The usual transaction as one statement: all of it, on what nobody else has changed, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation import at_once, owned
from app.conversation.changes import Changes
from app.conversation.driver import Bot
from app.conversation.outbox import Outbox
from app.conversation.services import PlainHost
from app.conversation.turn import Turns
from app.database.direct import Direct, direct, transaction
from app.errors import OwnershipLost
from app.gateway.outcome import Retry
from tests.integration.scene import Scene, scene

_BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def answers(chat: Chat) -> None:
    await chat.say(f"Heard {chat.message.text}.")


async def remembers(chat: Chat) -> None:
    chat.session["heard"] = [*chat.session.get("heard", []), chat.message.text]
    answer = await chat.ask(f"After {len(chat.session['heard'])}?", timeout=60)
    await chat.say(f"So {answer}.")


async def says_two_things(chat: Chat) -> None:
    await chat.say("One.")
    await chat.say("Two.")


@dataclass
class Ways:
    """How often each way was gone."""

    short: int = 0
    long: int = 0


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    ways = Ways()

    @asynccontextmanager
    async def short(engine: AsyncEngine) -> AsyncIterator[Direct]:
        ways.short += 1
        async with direct(engine) as database:
            yield database

    @asynccontextmanager
    async def long(engine: AsyncEngine) -> AsyncIterator[Direct]:
        ways.long += 1
        async with transaction(engine) as database:
            yield database

    monkeypatch.setattr(at_once, "direct", short)
    monkeypatch.setattr(owned, "transaction", long)
    yield ways


async def begun(engine: AsyncEngine, bot: Bot) -> Scene:
    """A conversation whose session is open."""
    play = scene(engine, bot)
    await play.says("hi")
    await play.work()
    return play


async def test_a_turn_and_its_sending_are_a_statement_each(engine: AsyncEngine, ways: Ways) -> None:
    play = await begun(engine, answers)
    ways.short = ways.long = 0
    await play.says("again")
    await play.work()
    assert play.gateway.texts == ["Heard hi.", "Heard again."]
    assert ways.short == 2
    assert ways.long == 1, "the look for more to send, which this scene always takes"
    assert await play.statuses() == ["sent", "sent"]
    assert await play.value("SELECT due_at FROM conversation") is None


async def test_both_ways_leave_the_same(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same story, told the short way and the long one."""

    async def told(name: str) -> list[object]:
        play = scene(engine, remembers)
        play.conversation = name
        for word in ("a", "b", "c"):
            await play.says(word)
            await play.work()
        await play.echo("After 1?")
        await play.work()
        return [
            await play.rows(
                """
                SELECT d.status, count(j.*), array_agg(j.kind ORDER BY j.position) FROM dialog d
                JOIN journal j ON j.dialog_id = d.id JOIN conversation c ON c.id = d.conversation_id
                WHERE c.external_id = :name GROUP BY d.id, d.status ORDER BY d.id
                """,
                name=name,
            ),
            await play.rows(
                """
                SELECT d.status, d.attempts, d.confirmed_by, d.content->>'text', a.outcome, d.next_attempt_at,
                    d.ended_at IS NULL, d.sent_at IS NULL
                FROM delivery d JOIN conversation c ON c.id = d.conversation_id
                JOIN delivery_attempt a ON a.delivery_id = d.id WHERE c.external_id = :name ORDER BY d.place
                """,
                name=name,
            ),
            await play.rows(
                """
                SELECT s.data, s.number, c.sessions, c.due_at IS NULL, c.deaths, c.handled_at IS NULL
                FROM session s JOIN conversation c ON c.id = s.conversation_id WHERE c.external_id = :name
                """,
                name=name,
            ),
            await play.rows(
                """
                SELECT t.kind, t.outcome, t.due_at = c.due_at, t.ended_at IS NULL FROM timer t
                JOIN conversation c ON c.id = t.conversation_id WHERE c.external_id = :name ORDER BY t.id
                """,
                name=name,
            ),
            await play.rows(
                """
                SELECT m.author, m.text FROM message m JOIN conversation c ON c.id = m.conversation_id
                WHERE c.external_id = :name ORDER BY m.id
                """,
                name=name,
            ),
        ]

    short = await told("short")
    monkeypatch.setattr(at_once, "_usual", lambda changes: False)
    monkeypatch.setattr("app.conversation.outbox.sent_at_once", nothing_done)
    long = await told("long")
    assert short == long
    assert isinstance(short[1], list) and len(short[1]) == 3 and short[3]


async def nothing_done(*_: object) -> bool:
    """The short way is closed."""
    return False


async def test_an_event_that_comes_while_the_statement_waits_is_not_lost(
    engine: AsyncEngine, ways: Ways
) -> None:
    """A receiver holds the conversation and has not committed its event when the statement begins."""
    play = await begun(engine, answers)
    await play.says("second")
    state = await play.claim()
    assert state is not None
    ways.short = ways.long = 0
    async with engine.connect() as receiver:
        await receiver.execute(text("UPDATE conversation SET due_at = now()"))
        await receiver.execute(
            text(
                "INSERT INTO event (endpoint, event_id, conversation_id, type, body, body_sha256, payload, "
                "received_at, at) SELECT endpoint, 'late', conversation_id, type, body, body_sha256, "
                "jsonb_set(payload, '{data,text}', '\"third\"'), now() + interval '1 second', "
                "now() + interval '1 second' "
                "FROM event ORDER BY id DESC LIMIT 1"
            )
        )
        working = asyncio.create_task(handled(play))
        async with asyncio.timeout(10):
            while not await play.value(str(_BLOCKED)):  # noqa: ASYNC110 - the database tells no one
                await asyncio.sleep(0.01)
        await receiver.commit()
    await working
    assert ways.short >= 1 and ways.long >= 1
    assert play.gateway.texts == ["Heard hi.", "Heard second."]
    assert state.due, "the third waits"
    assert await play.value("SELECT due_at <= now() FROM conversation") is True
    assert await play.value("SELECT count(*) FROM event WHERE processed_at IS NULL") == 1


async def handled(play: Scene) -> None:
    """One turn of what has been claimed, and what it says is sent."""
    assert play.state is not None
    turns = Turns(play.services, play.state, Outbox(play.services, play.state))
    assert await turns.look()
    await turns.handle(PlainHost())


async def test_whoever_has_lost_the_conversation_writes_nothing(engine: AsyncEngine, ways: Ways) -> None:
    play = await begun(engine, answers)
    await play.says("second")
    assert await play.claim() is not None
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE conversation SET epoch = epoch + 1"))
    counts = (
        "SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM delivery), "
        "(SELECT count(*) FROM message)"
    )
    before = await play.rows(counts)
    with pytest.raises(OwnershipLost):
        await handled(play)
    assert await play.rows(counts) == before
    assert await play.value("SELECT count(*) FROM event WHERE processed_at IS NULL") == 1


async def test_where_nothing_is_to_be_written_what_is_left_to_do_is_looked_at(engine: AsyncEngine) -> None:
    play = await begun(engine, answers)
    await play.says("second")
    state = await play.claim()
    assert state is not None
    state.due = False
    assert await at_once.write_at_once(engine, state, Changes(), [], turn=True)
    assert state.due, "the second waits"


async def test_while_something_is_open_nothing_is_sent_before_it(engine: AsyncEngine, ways: Ways) -> None:
    play = await begun(engine, answers)
    play.gateway.answers = [Retry(30.0, 429, "HTTP 429")]
    for word in ("second", "third"):
        await play.says(word)
        await play.work()
    assert play.gateway.texts == ["Heard hi."]
    assert await play.statuses() == ["sent", "waiting", "waiting"]
    assert await play.value("SELECT attempts FROM delivery ORDER BY place DESC LIMIT 1") == 0
    await play.later(31)
    assert play.gateway.texts == ["Heard hi.", "Heard second.", "Heard third."]


async def test_of_several_replies_each_is_sent_in_its_turn(engine: AsyncEngine, ways: Ways) -> None:
    play = await begun(engine, says_two_things)
    await play.says("again")
    await play.work()
    assert play.gateway.texts == ["One.", "Two."] * 2
    assert await play.statuses() == ["sent"] * 4
