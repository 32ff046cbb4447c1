"""The watch over users' messages that nobody answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.modes import set_mode
from app.gateway.outcome import Retry
from app.worker.dead_air import DeadAir
from tests.integration.scene import Scene, scene


async def answers(chat: Chat) -> None:
    await chat.say(f"You said {chat.message.text}")


async def says_nothing(chat: Chat) -> None:
    await chat.receive()


async def hands_over(chat: Chat) -> None:
    await chat.handover("101", message="Connecting you…")


class Watch:
    """A watch whose clock is an hour behind events that are posted an hour back."""

    def __init__(self, play: Scene) -> None:
        self.play = play
        self.dead_air = DeadAir(play.engine, play.services.endpoints, now=play.clock)

    async def after(self, seconds: float) -> list[str]:
        """What is found when that time has passed: why, for each message."""
        self.play.clock.forward(seconds)
        await self.dead_air.look()
        rows = await self.play.rows("SELECT detail->>'why' FROM incident WHERE kind = 'dead_air' ORDER BY id")
        return [row[0] for row in rows]


def agent(change: str) -> dict[str, Any]:
    return {"eventType": "MEMBERS_CHANGED", "data": {"memberType": "agent", "change": change, "id": "a"}}


async def happens(play: Scene, *events: dict[str, Any]) -> None:
    for event in events:
        await play.post({"conversationId": play.conversation, "data": {}, **event})
    await play.work()


async def test_an_answered_message_is_no_incident(engine: AsyncEngine) -> None:
    play = scene(engine, answers)
    watch = Watch(play)
    await play.says("hi")
    await play.work()
    assert await watch.after(65) == []


async def test_a_message_that_nobody_handled_is_one_incident_however_many_look(engine: AsyncEngine) -> None:
    play = scene(engine, answers)
    watch, other = Watch(play), Watch(play)
    await play.says("hi")
    assert await watch.after(50) == []
    assert await watch.after(15) == ["unhandled"]
    await other.after(0)
    assert await watch.after(30) == ["unhandled"]
    row = (await play.rows("SELECT event_id, conversation_id, endpoint FROM incident"))[0]
    assert tuple(row) == (1, 1, "support")


async def test_an_answer_that_is_not_sent_is_an_incident(engine: AsyncEngine) -> None:
    play = scene(engine, answers)
    watch = Watch(play)
    play.gateway.answers = [Retry(300.0, 429, "HTTP 429")]
    await play.says("hi")
    await play.work()
    assert await watch.after(65) == ["unsent"]


async def test_a_bot_that_takes_a_message_and_says_nothing_is_an_incident(engine: AsyncEngine) -> None:
    play = scene(engine, says_nothing)
    watch = Watch(play)
    await play.says("hi")
    await play.work()
    assert await watch.after(65) == ["unanswered"]


async def test_a_human_or_a_confirmed_queue_is_an_answer_and_an_unconfirmed_one_is_not(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, hands_over)
    watch = Watch(play)
    await play.says("a person")
    await play.work()
    assert await watch.after(65) == []
    await play.says("anybody?")
    await play.work()
    assert await watch.after(65) == ["unanswered"]
    await happens(play, {"eventType": "QUEUED", "data": {"queueId": "101"}})
    await play.says("hello?")
    await play.work()
    assert await watch.after(65) == ["unanswered"]
    await happens(play, agent("joined"))
    await play.says("my order")
    await play.work()
    assert await watch.after(65) == ["unanswered"]


async def test_what_a_user_writes_after_the_agent_left_is_an_incident_unless_the_bot_answers(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, answers)
    watch = Watch(play)
    await happens(play, agent("joined"), agent("left"))
    await play.says("one more thing")
    await play.work()
    await play.later(4)
    assert await watch.after(65) == ["unanswered"]


async def test_a_click_on_the_button_of_a_handover_that_is_over_wants_no_answer(engine: AsyncEngine) -> None:
    play = scene(engine, says_nothing)
    watch = Watch(play)
    value = {"type": "postback", "data": {"title": "Stop", "payload": "parley:cancel-handover"}}
    click = {"eventType": "ACTIVITY", "data": {"name": "quickReply/action", "value": value}}
    await happens(play, click)
    assert await watch.after(65) == []
    await play.post({"conversationId": play.conversation, **click})  # and no worker is there
    assert await watch.after(65) == ["unhandled"]


async def test_echoes_typing_and_what_ops_silenced_are_nobodys_dead_air(engine: AsyncEngine) -> None:
    play = scene(engine, answers)
    watch = Watch(play)
    await play.echo("You said hi")
    typing = {"name": "typing", "value": {"users": [{"id": "u", "type": "user"}]}}
    await happens(play, {"eventType": "ACTIVITY", "data": typing})
    await set_mode(engine, "support", "silent")
    await play.services.modes.refresh(engine)
    await play.says("hi")
    await play.work()
    assert await watch.after(65) == []


async def test_each_endpoint_has_its_own_limit_and_zero_switches_it_off(engine: AsyncEngine) -> None:
    play = scene(engine, says_nothing, dead_air=0)
    await play.says("hi")
    await play.work()
    assert await Watch(play).after(65) == []
    slow = scene(engine, says_nothing, dead_air=300)
    watch = Watch(slow)
    assert await watch.after(200) == []
    assert await watch.after(110) == ["unanswered"]


async def test_a_watch_that_was_away_catches_up(engine: AsyncEngine) -> None:
    play = scene(engine, says_nothing)
    await play.says("hi", received=play.clock() - timedelta(minutes=8))
    await play.work()
    assert await Watch(play).after(0) == ["unanswered"]
