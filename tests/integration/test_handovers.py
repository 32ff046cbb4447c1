"""Handovers over a real database: events in, the bot silent meanwhile, the outcome at the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.gateway.outcome import Outcome, Refused
from tests.integration.scene import Scene, scene

SETTINGS: dict[str, Any] = {
    "queue": "101",
    "message": "Connecting you…",
    "cancel_text": "Stop waiting",
    "return_assignment": {"type": "script", "id": "2001"},
}


async def hands_over(chat: Chat) -> None:
    await chat.say("One moment…")
    outcome = await chat.handover(summary="wants a person", properties={"intent": "refund"})
    await chat.say(f"{outcome.status} {list(outcome.agent_ids)} {[m.text for m in outcome.messages]}")
    answer = await chat.receive()
    await chat.say(f"back with {answer.text}")


async def begun(engine: AsyncEngine, bot: Any = hands_over, **settings: Any) -> Scene:
    play = scene(engine, bot, handover={**SETTINGS, **settings})
    await play.says("a person please")
    await play.work()
    return play


async def happens(play: Scene, *events: dict[str, Any]) -> None:
    for event in events:
        await play.post({"conversationId": play.conversation, "data": {}, **event})
    await play.work()


QUEUED = {"eventType": "QUEUED", "data": {"queueId": "101", "queueName": "Support"}}
TRANSFER = {"eventType": "TRANSFER"}


def member(change: str, agent: str = "a") -> dict[str, Any]:
    return {"eventType": "MEMBERS_CHANGED", "data": {"memberType": "agent", "change": change, "id": agent}}


def agent_says(words: str, agent: str = "a") -> dict[str, Any]:
    data = {"isEcho": False, "sender": {"id": agent, "type": "agent"}, "text": words}
    return {"eventType": "MESSAGE", "data": data}


def kinds(play: Scene) -> list[str]:
    return [request[0] for request in play.gateway.requests]


async def status(play: Scene) -> str:
    return str(await play.value("SELECT status FROM handover ORDER BY requested_at DESC LIMIT 1"))


async def test_the_assignment_is_sent_in_order_with_what_the_agent_needs(engine: AsyncEngine) -> None:
    play = await begun(engine)
    assert kinds(play) == ["message", "assignment", "message"]
    assignment = play.gateway.requests[1][2]
    assert assignment["assignment"] == {"type": "queue", "id": "101"}
    pairs = {pair["key"]: pair["value"] for pair in assignment["user"]["additionalProperties"]}
    assert pairs == {"summary": "wants a person", "intent": "refund"}
    assert play.gateway.texts == ["One moment…", "Connecting you…"]
    assert play.gateway.requests[2][2]["cards"][0]["content"]["options"][0]["title"] == "Stop waiting"


async def test_the_bot_is_silent_while_a_human_has_the_conversation_and_goes_on_after(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), agent_says("How can I help?"))
    await play.says("my order is late")
    await play.work()
    assert await status(play) == "active"
    assert play.gateway.texts == ["One moment…", "Connecting you…"]
    await happens(play, member("left"))
    assert await status(play) == "active"
    play.gateway.assigned = {"type": "script", "id": "2001"}
    await play.later(3.5)
    assert await status(play) == "completed"
    assert play.gateway.texts[-1] == "completed ['a'] ['How can I help?', 'my order is late']"
    await play.says("thanks")
    await play.work()
    assert play.gateway.texts[-1] == "back with thanks"
    authors = await play.rows("SELECT author FROM message ORDER BY id")
    assert [row[0] for row in authors][3:5] == ["agent", "user"]


@pytest.mark.parametrize("events", [[member("left"), TRANSFER, QUEUED], [TRANSFER, member("left"), QUEUED]])
async def test_a_transfer_in_either_order_is_not_the_end(engine: AsyncEngine, events: list[Any]) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"))
    await happens(play, *events)
    await play.later(4)
    assert await status(play) == "queued"
    await happens(play, member("joined", "b"))
    assert await status(play) == "active"
    await happens(play, member("left", "b"))
    await play.later(4)
    assert await status(play) == "completed"
    assert play.gateway.texts[-1].startswith("completed ['a', 'b']")
    assert await play.value("SELECT transfers FROM handover") == 1


async def test_a_left_without_more_is_settled_by_looking_at_the_conversation(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), member("left"))
    play.gateway.assigned = {"type": "queue", "id": "102"}
    await play.later(4)
    assert await status(play) == "queued"


async def test_the_user_cancels_and_the_conversation_is_taken_back(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED)
    await play.says("stop WAITING ")
    await play.work()
    assert await status(play) == "cancelled"
    assert play.gateway.requests[3][2]["assignment"] == {"type": "script", "id": "2001"}
    assert play.gateway.texts[-1] == "cancelled [] ['stop WAITING ']"


async def test_nobody_comes(engine: AsyncEngine) -> None:
    play = await begun(engine, timeout=60)
    await happens(play, QUEUED)
    await play.later(61)
    assert await status(play) == "timed_out"
    assert play.gateway.texts[-1] == "timed_out [] []"


async def test_8x8_refuses_the_assignment_and_the_dialog_goes_on(engine: AsyncEngine) -> None:
    play = scene(engine, hands_over, handover=SETTINGS)
    refused: Outcome = Refused(400, "HTTP 400 invalid_queue")
    play.gateway.assignment_answers = [refused]
    await play.says("a person please")
    await play.work()
    assert await status(play) == "failed"
    assert "invalid_queue" in await play.value("SELECT reason FROM handover")
    assert play.gateway.texts == ["One moment…", "failed [] []"]  # no "Connecting you…"


async def test_no_queue_is_a_failure_the_bot_hears_of(engine: AsyncEngine) -> None:
    play = await begun(engine, queue=None)
    assert play.gateway.texts[-1] == "failed [] []"
    assert await play.value("SELECT control FROM conversation") == "bot"


@pytest.mark.parametrize(("repeat", "times"), [(False, 1), (True, 3)])
async def test_the_accepted_message_is_repeated_only_if_set(
    engine: AsyncEngine, repeat: bool, times: int
) -> None:
    play = await begun(engine, repeat_message=repeat)
    for words in ("hello?", "anyone?"):
        await play.says(words)
        await play.work()
    assert play.gateway.texts.count("Connecting you…") == times


async def test_a_reply_that_was_not_sent_before_the_agent_came_is_withheld(engine: AsyncEngine) -> None:
    from app.gateway.outcome import Retry, Sent

    play = scene(engine, hands_over, handover=SETTINGS)
    play.gateway.answers = [Sent(202), Retry(30.0, 429, "HTTP 429")]
    await play.says("a person please")
    await play.work()
    await happens(play, QUEUED, member("joined"))
    await play.later(40)
    assert play.gateway.texts == ["One moment…"]
    assert await play.statuses() == ["sent", "sent", "withheld"]


async def test_a_human_who_takes_over_unasked_silences_the_bot(engine: AsyncEngine) -> None:
    async def repeats(chat: Chat) -> None:
        await chat.say(chat.message.text)

    play = scene(engine, repeats)
    await play.says("one")
    await play.work()
    await happens(play, member("joined"), agent_says("I am here"))
    await play.says("two")
    await play.work()
    assert play.gateway.texts == ["one"]
    await happens(play, member("left"))
    await play.later(4)
    await play.says("three")
    await play.work()
    assert play.gateway.texts == ["one", "three"]


async def test_a_late_message_of_the_last_agent_takes_nothing_over(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"))
    before = play.clock()
    await happens(play, member("left"))
    await play.later(4)
    assert await status(play) == "completed"
    data = agent_says("bye")
    await play.post({"conversationId": play.conversation, **data}, at=before - timedelta(seconds=1))
    await play.work()
    assert await play.value("SELECT control FROM conversation") == "bot"


async def test_a_handover_survives_every_restart(engine: AsyncEngine) -> None:
    # `work` reads the conversation afresh each time: every test here restarts at every event. This one also
    # loses its owner.
    play = await begun(engine)
    for event in (QUEUED, member("joined"), agent_says("hi"), member("left")):
        play.worker = 0
        async with engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE worker SET alive_until = now()")
        await happens(play, event)
    await play.later(4)
    assert play.gateway.texts[-1] == "completed ['a'] ['hi']"


async def prompts(chat: Chat) -> None:
    async def silent(chat: Chat, count: int) -> None:
        if count == 1:
            await chat.say("Still there?", to="both")
            await chat.say("user is silent", to="agent")
        else:
            await chat.close_handover()

    async def queued(chat: Chat) -> None:
        await chat.say("You are in the queue.")

    outcome = await chat.handover(
        on_inactive=silent, on_queued=queued, cancel_when=lambda text: text.startswith("never mind")
    )
    await chat.say(f"{outcome.status}: {outcome.reason}")


async def test_the_bots_handlers_speak_while_it_waits_and_may_end_it(engine: AsyncEngine) -> None:
    play = await begun(engine, prompts, inactivity=1, message=None)
    await happens(play, QUEUED, member("joined"))
    assert play.gateway.texts == ["You are in the queue."]
    await play.later(61)
    assert play.gateway.texts[-1] == "Still there?"
    note = play.gateway.requests[-1][2]["user"]["additionalProperties"]
    assert note == [{"key": "note", "value": "user is silent"}]
    await play.later(61)
    assert await status(play) == "cancelled"
    assert play.gateway.requests[-2][2]["assignment"] == {"type": "script", "id": "2001"}
    assert play.gateway.texts[-1] == "cancelled: closed by the bot"


async def test_user_input_resets_the_count_of_silence(engine: AsyncEngine) -> None:
    play = await begun(engine, prompts, inactivity=1, message=None)
    await happens(play, QUEUED)
    await play.later(61)
    await play.says("I am")
    await play.work()
    await play.later(61)
    assert await status(play) == "queued"
    assert play.gateway.texts.count("Still there?") == 2


async def test_the_bots_own_words_cancel(engine: AsyncEngine) -> None:
    play = await begun(engine, prompts, message=None)
    await play.says("never mind, solved")
    await play.work()
    assert play.gateway.texts[-1] == "cancelled: cancelled by the user"


async def test_a_failing_bot_can_hand_over(engine: AsyncEngine) -> None:
    async def raises(chat: Chat) -> None:
        raise RuntimeError

    play = scene(engine, raises, on_error={"message": "Sorry!", "handover": "102"})
    await play.says("hi")
    await play.work()
    assert kinds(play) == ["message", "assignment"]
    assert await play.value("SELECT control FROM conversation") == "queue"


async def test_the_dialog_can_begin_anew_after_a_handover(engine: AsyncEngine) -> None:
    play = await begun(engine, flow_continuation="restart")
    await happens(play, QUEUED, member("joined"), member("left"))
    await play.later(4)
    assert play.gateway.texts[-1] == "Connecting you…"
    await play.says("again")
    await play.work()
    assert play.gateway.texts[-2:] == ["One moment…", "Connecting you…"]


async def test_the_bot_gets_the_conversation_back_when_that_is_asked_for(engine: AsyncEngine) -> None:
    back = {"webhook_id": "12", "max_total_minutes": 60}
    play = await begun(engine, return_to_bot=back)
    assert kinds(play) == ["message", "assignment", "message", "post_agent"]
    assert play.gateway.requests[3][2]["webhook_id"] == "12"
