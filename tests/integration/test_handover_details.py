"""What bots get of a handover and agents are shown, and what must not hold up anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat, FileUnavailable
from app.conversation.handover import following
from app.gateway.outcome import InDoubt, Outcome, Retry
from app.retention import clear, keep_of
from tests.integration.scene import scene
from tests.integration.test_handover_troubles import (
    QUEUED,
    SETTINGS,
    agent_says,
    begun,
    control,
    happens,
    member,
    status,
    update,
)

BACK = update("script", "2001")


async def tells(chat: Chat) -> None:
    outcome = await chat.handover()
    await chat.say(" ".join(f"{message.author}:{message.text}" for message in outcome.messages))


async def test_messages_are_in_the_order_in_which_they_were_written(engine: AsyncEngine) -> None:
    play = await begun(engine, tells)
    await happens(play, QUEUED, member("joined"))
    then = play.clock()
    play.clock.forward(2)
    await happens(play, agent_says("answer"))
    await play.says("question", at=then)
    await play.work()
    await happens(play, BACK)
    assert play.gateway.texts[-1] == "user:question agent:answer"


async def test_of_many_messages_the_newest_are_kept(engine: AsyncEngine, monkeypatch: Any) -> None:
    monkeypatch.setattr(following, "MOST_MESSAGES", 3)
    play = await begun(engine, tells)
    await happens(play, QUEUED, member("joined"))
    for number in range(5):
        await play.says(f"m{number}")
    await play.work()
    await play.says("m5")
    await play.work()
    await happens(play, BACK)
    assert play.gateway.texts[-1] == "user:m3 user:m4 user:m5"


async def test_files_that_humans_sent_each_other_say_that_they_cannot_be_read(engine: AsyncEngine) -> None:
    async def reads(chat: Chat) -> None:
        outcome = await chat.handover()
        file = outcome.messages[0].attachments[0]
        try:
            await file.read()
        except FileUnavailable as error:
            await chat.say(f"{file.name} {file.state} {file.url} {error.reason}")

    play = await begun(engine, reads)
    await happens(play, QUEUED, member("joined"))
    file = {"id": "x", "type": "image/png", "preSignedUrl": "http://127.0.0.1:1/x", "fileName": "x.png"}
    data = {"isEcho": False, "sender": {"id": "u", "type": "user"}, "text": "see", "attachments": [file]}
    await happens(play, {"eventType": "MESSAGE", "data": data})
    await happens(play, BACK)
    assert play.gateway.texts[-1] == "x.png failed None not_fetched"


async def test_what_was_said_is_told_however_long_the_handover_takes(engine: AsyncEngine) -> None:
    async def gives_old() -> None:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE event SET received_at = now() - interval '2 days'")
        await clear(engine, [keep_of(play.services.endpoints["support"], 1)])

    play = await begun(engine, tells)
    await happens(play, QUEUED, member("joined"), agent_says("hello"))
    await play.says("important")
    await play.work()
    await gives_old()
    await happens(play, BACK)
    assert play.gateway.texts[-1] == "agent:hello user:important"
    await gives_old()
    assert await play.value("SELECT count(*) FROM event WHERE payload IS NOT NULL") == 0


async def test_a_handover_of_which_no_settings_are_left_goes_on(engine: AsyncEngine) -> None:
    play = await begun(engine, tells)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE handover SET settings = '{}'")
    await happens(play, QUEUED, member("joined"), agent_says("hello"))
    await play.says("hi")
    await play.work()
    await happens(play, BACK)
    assert play.gateway.texts[-1] == "agent:hello user:hi"


async def test_an_agent_who_joins_as_a_handover_fails_takes_nothing_over(engine: AsyncEngine) -> None:
    play = await begun(engine)
    play.gateway.assigned = {"type": "script", "id": "2001"}
    await play.later(61)
    await play.later(61)
    assert await status(play) == "failed"
    await happens(play, member("joined"), member("left"))
    assert await control(play) == "bot"
    assert await play.value("SELECT count(*) FROM dialog WHERE ended_at IS NULL") == 1


async def test_getting_it_back_holds_nothing_up_for_long(engine: AsyncEngine) -> None:
    play = scene(engine, tells, handover={**SETTINGS, "return_to_bot": {"webhook_id": "12"}})
    away: Outcome = Retry(20.0, 429, "HTTP 429")

    async def refuses(*args: Any, **more: Any) -> Outcome:
        return away

    play.gateway.post_agent_assignment = refuses  # type: ignore[method-assign]
    await play.says("a person please")
    await play.work()
    assert [each[0] for each in play.gateway.requests] == ["assignment", "message"]
    for _ in range(5):
        await play.later(21)
    assert await play.value("SELECT status FROM delivery WHERE kind = 'post_agent'") == "dead"


async def notes(chat: Chat) -> None:
    async def active(chat: Chat) -> None:
        await chat.say("from 10.0.0.1", to="agent")

    async def silent(chat: Chat, count: int) -> None:
        await chat.say(f"silent {count}", to="agent")

    await chat.handover("101", summary="short", on_active=active, on_inactive=silent)


async def test_a_note_leaves_those_before_it(engine: AsyncEngine) -> None:
    play = scene(engine, notes, handover={"inactivity": 1}, mask_ip_address=True)
    await play.says("hi")
    await play.work()
    await happens(play, QUEUED, member("joined"))
    await play.later(61)
    pairs = play.gateway.requests[-1][2]["user"]["additionalProperties"]
    assert [(pair["key"], pair["value"]) for pair in pairs] == [
        ("note 2", "silent 1"),
        ("note", "from 10.0.0.1"),
        ("summary", "short"),
    ]


async def test_a_note_that_was_not_sent_when_the_handover_ended_is_not_sent(engine: AsyncEngine) -> None:
    play = scene(engine, notes, handover={"inactivity": 1})
    await play.says("hi")
    await play.work()
    lost: Outcome = InDoubt(None, "no answer")

    async def loses(*args: Any, **more: Any) -> Outcome:
        play.gateway.requests.append(("note", "", {}))
        return lost

    play.gateway.update_user = loses  # type: ignore[method-assign]
    await happens(play, QUEUED, member("joined"))
    asked = play.gateway.requests.count(("note", "", {}))
    await happens(play, member("left"))
    await play.later(4)
    assert await status(play) == "completed"
    await play.later(timedelta(minutes=2).total_seconds())
    assert await play.value("SELECT status FROM delivery WHERE kind = 'note'") == "withheld"
    assert play.gateway.requests.count(("note", "", {})) <= asked + 1
