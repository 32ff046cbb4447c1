"""A handover that was ended from here leaves events on the way: they are nothing to the next one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.outbox import Outbox
from app.gateway.outcome import Refused, Retry, Sent
from tests.integration.scene import Scene, scene
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

OTHER_QUEUED = {"eventType": "QUEUED", "data": {"queueId": "102"}}
BACK = update("script", "2001")


async def again(chat: Chat) -> None:
    """Hands over once more as soon as the first handover is over."""
    outcome = await chat.handover()
    await chat.say(f"first {outcome.status}")
    outcome = await chat.handover("102", message="Other queue…")
    await chat.say(f"second {outcome.status}")
    await chat.receive()


async def cancelled(engine: AsyncEngine, *before: dict[str, Any]) -> Scene:
    play = await begun(engine, again)
    await happens(play, *before)
    await play.says("Stop waiting")
    await play.work()
    assert await play.value("SELECT status FROM handover ORDER BY id") == "cancelled"
    return play


LATE = [member("joined"), agent_says("wait, I have it"), update("agent", "a"), member("left"), BACK]


@pytest.mark.parametrize("before", [[QUEUED], [QUEUED, member("joined")]])
@pytest.mark.parametrize("late", range(len(LATE) + 1))
async def test_what_still_comes_of_the_first_is_nothing_to_the_second(
    engine: AsyncEngine, before: list[dict[str, Any]], late: int
) -> None:
    play = await cancelled(engine, *before)
    await happens(play, *LATE[:late])
    assert (await status(play), await control(play)) == ("requested", "queue")
    await happens(play, OTHER_QUEUED)
    assert await status(play) == "queued"
    await happens(play, *LATE[late:], at=play.clock() - timedelta(seconds=1))
    assert (await status(play), await control(play)) == ("queued", "queue")
    await happens(play, member("joined", "b"))
    assert (await status(play), await control(play)) == ("active", "human")
    assert await play.value("SELECT agents FROM handover ORDER BY id DESC") == ["b"]


async def test_what_comes_late_does_not_keep_the_second_from_its_queue(engine: AsyncEngine) -> None:
    play = await begun(engine, again)
    await happens(play, QUEUED, member("joined"))
    play.gateway.assignment_answers = [Sent(202), Retry(5.0, 429, "HTTP 429")]
    await play.says("Stop waiting")
    await play.work()
    await happens(play, agent_says("wait, I have it"))
    await play.later(10)
    asked = [each[2]["assignment"] for each in play.gateway.requests if each[0] == "assignment"]
    assert [each["id"] for each in asked] == ["101", "2001", "102", "102"]
    await happens(play, member("left"), BACK)
    assert await status(play) == "requested"


async def test_the_queue_before_is_not_the_one_that_was_asked_for(engine: AsyncEngine) -> None:
    play = await cancelled(engine)
    await happens(play, QUEUED, member("joined"), at=play.clock())
    assert await status(play) == "requested"


@pytest.mark.parametrize("shown", [{"type": "agent", "id": "b"}, None])
async def test_after_a_look_an_agent_counts_though_nothing_was_heard_of_the_queue(
    engine: AsyncEngine, shown: dict[str, Any] | None
) -> None:
    play = await cancelled(engine, QUEUED)
    play.gateway.assigned = shown
    await play.later(61)
    await happens(play, member("joined", "b"))
    assert (await status(play), await control(play)) == ("active", "human")


async def test_who_joined_before_the_cancel_takes_nothing_over_however_late_that_is_told(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine)
    await happens(play, QUEUED)
    then = play.clock()
    play.clock.forward(1)
    await play.says("Stop waiting")
    await play.work()
    play.clock.forward(40)
    await happens(play, member("joined"), member("left"), at=then + timedelta(seconds=0.5))
    assert await control(play) == "bot"
    await play.says("hello")
    await play.work()
    assert play.gateway.texts[-1] == "back with hello"


async def test_the_failure_of_one_handover_does_not_end_the_next(engine: AsyncEngine) -> None:
    play = scene(engine, again, handover=SETTINGS)
    play.gateway.assignment_answers = [Retry(20.0, 429, "HTTP 429"), Refused(400, "no such queue")]
    await play.says("a person please")
    await play.work()
    play.clock.forward(25)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE conversation SET due_at = now()")
    state = await play.claim()
    assert state is not None
    await Outbox(play.services, state).run()  # refused; before that is handled, the user gives up
    await play.says("Stop waiting")
    await play.work()
    await play.later(1)
    assert [row[0] for row in await play.rows("SELECT status FROM handover ORDER BY id")] == [
        "cancelled",
        "requested",
    ]


# the button

CLICK = {
    "eventType": "ACTIVITY",
    "data": {
        "name": "quickReply/action",
        "value": {"type": "postback", "data": {"title": "Stop waiting", "payload": "parley:cancel-handover"}},
    },
}


async def asks_on(chat: Chat) -> None:
    outcome = await chat.handover()
    answer = await chat.ask(f"{outcome.status}. What else?")
    await chat.say(f"You want {answer}")


async def test_a_second_click_answers_no_question_of_the_bots(engine: AsyncEngine) -> None:
    play = await begun(engine, asks_on)
    await happens(play, QUEUED)
    await happens(play, CLICK)
    await happens(play, CLICK)
    assert play.gateway.texts[-1] == "cancelled. What else?"
    rows = await play.rows("SELECT outcome FROM event WHERE type = 'ACTIVITY'")
    assert [row[0] for row in rows] == ["noted", "noted"]
    assert await play.value("SELECT count(*) FROM message WHERE text = 'Stop waiting'") == 2
    await play.says("a pizza")
    await play.work()
    assert play.gateway.texts[-1] == "You want a pizza"


async def test_an_old_button_starts_nothing_and_keeps_no_session_alive(engine: AsyncEngine) -> None:
    play = await begun(engine, asks_on)
    await happens(play, CLICK)
    await play.says("nothing")
    await play.work()
    said = len(play.gateway.texts)
    play.clock.forward(1000)
    await happens(play, CLICK)
    play.clock.forward(1000)
    assert len(play.gateway.texts) == said
    assert await play.value("SELECT count(*) FROM dialog") == 1
    await play.says("hi")
    await play.work()
    assert await play.value("SELECT count(*) FROM session") == 2
