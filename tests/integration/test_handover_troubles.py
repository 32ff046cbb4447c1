"""Handovers when something is missing, late, lost or in the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.gateway.outcome import Outcome, Retry
from tests.integration.scene import Scene, scene

SETTINGS: dict[str, Any] = {
    "queue": "101",
    "message": "Connecting you…",
    "cancel_text": "Stop waiting",
    "return_assignment": {"type": "script", "id": "2001"},
}
QUEUED = {"eventType": "QUEUED", "data": {"queueId": "101", "queueName": "Support"}}
TRANSFER = {"eventType": "TRANSFER"}


def member(change: str, agent: str = "a", kind: str = "agent") -> dict[str, Any]:
    return {"eventType": "MEMBERS_CHANGED", "data": {"memberType": kind, "change": change, "id": agent}}


def agent_says(words: str, agent: str = "a") -> dict[str, Any]:
    data = {"isEcho": False, "sender": {"id": agent, "type": "agent"}, "text": words}
    return {"eventType": "MESSAGE", "data": data}


def update(kind: str | None, identity: str = "", state: str = "active", **user: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"state": state, "user": {"name": "Ada", **user}}
    if kind is not None:
        data["assignment"] = {"type": kind, "id": identity}
    return {"eventType": "CONVERSATION_UPDATE", "data": data}


async def hands_over(chat: Chat) -> None:
    outcome = await chat.handover(summary="a secret summary", properties={"intent": "refund"})
    await chat.say(f"{outcome.status}: {outcome.reason}")
    answer = await chat.receive()
    await chat.say(f"back with {answer.text}")


async def begun(engine: AsyncEngine, bot: Any = hands_over, **settings: Any) -> Scene:
    play = scene(engine, bot, handover={**SETTINGS, **settings})
    await play.says("a person please")
    await play.work()
    return play


async def happens(play: Scene, *events: dict[str, Any], **times: Any) -> None:
    for event in events:
        await play.post({"conversationId": play.conversation, "data": {}, **event}, **times)
    await play.work()


async def status(play: Scene) -> str:
    return str(await play.value("SELECT status FROM handover ORDER BY id DESC LIMIT 1"))


async def control(play: Scene) -> str:
    return str(await play.value("SELECT control FROM conversation"))


# the end


async def surveys(chat: Chat) -> None:
    outcome = await chat.handover()
    await chat.say(f"{outcome.status}. Did that help?")
    answer = await chat.receive()
    await chat.say(f"Noted: {answer.text}")


async def test_a_conversation_that_falls_idle_completes_the_handover_and_the_dialog_goes_on(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine, surveys)
    await happens(play, QUEUED, member("joined"), agent_says("done"))
    await happens(play, member("left"), update(None, state="idle"))
    assert await status(play) == "completed"
    assert play.gateway.texts[-1] == "completed. Did that help?"
    await play.says("yes")
    await play.work()
    assert play.gateway.texts[-1] == "Noted: yes"


async def test_what_fell_idle_ends_its_session_once_the_dialog_has_heard(engine: AsyncEngine) -> None:
    async def logs(chat: Chat) -> None:
        outcome = await chat.handover()
        chat.session["outcome"] = outcome.status

    play = await begun(engine, logs)
    await happens(play, QUEUED, member("joined"), member("left"), update(None, state="idle"))
    rows = await play.rows("SELECT end_reason, data->>'outcome' FROM session")
    assert [tuple(row) for row in rows] == [("idle", "completed")]
    assert await play.value("SELECT status FROM dialog") == "completed"


async def test_a_user_who_leaves_ends_handover_dialog_and_session(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("left", "user-1", "user"))
    assert await status(play) == "cancelled"
    rows = await play.rows("SELECT d.status, s.end_reason FROM dialog d, session s")
    assert [tuple(row) for row in rows] == [("closed", "user_left")]
    assert await control(play) == "bot"
    assert await play.value("SELECT count(*) FROM timer WHERE ended_at IS NULL") == 0


async def test_a_conversation_that_comes_back_to_its_script_is_completed_at_once(engine: AsyncEngine) -> None:
    play = await begun(engine, return_to_bot={"webhook_id": "12"})
    await happens(play, QUEUED, member("joined"), update("agent", "a"))
    await happens(play, member("left"), update("script", "2001"))
    assert await status(play) == "completed"
    assert play.gateway.texts[-1] == "completed: None"


async def test_a_transfer_to_a_script_is_the_end(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), TRANSFER, update("script", "2001"), member("left"))
    assert await status(play) == "completed"


async def test_a_session_does_not_expire_while_humans_have_the_conversation(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"))
    play.clock.forward(3 * 3600)
    await happens(play, update("script", "2001"))
    play.clock.forward(60)
    await play.says("thanks")
    await play.work()
    assert play.gateway.texts[-1] == "back with thanks"


# missing and late


async def test_an_agent_who_left_unheard_is_seen_by_the_assignment_to_another_queue(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), update("agent", "a"), update("queue", "102"))
    assert await status(play) == "queued"
    assert await play.value("SELECT transfers FROM handover") == 1


async def test_a_handover_that_8x8_tells_nothing_of_is_looked_after(engine: AsyncEngine) -> None:
    play = await begun(engine)
    play.gateway.assigned = {"type": "queue", "id": "101"}
    await play.later(61)
    assert await status(play) == "queued"


async def test_an_assignment_that_had_no_effect_is_asked_for_again_and_then_fails(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine)
    play.gateway.assigned = {"type": "script", "id": "2001"}
    await play.later(61)
    assert await status(play) == "requested"
    asked = [each for each in play.gateway.requests if each[0] == "assignment"]
    assert [each[2]["assignment"]["id"] for each in asked] == ["101", "101"]
    assert await play.value("SELECT kind FROM incident") == "handover_unheard"
    await play.later(61)
    assert await status(play) == "failed"
    assert play.gateway.texts[-1].startswith("failed: 8x8 took the assignment")


async def test_a_conversation_that_cannot_be_read_is_looked_at_later(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"), member("left"))
    play.gateway.conversation_readable = False
    await play.later(4)
    assert await status(play) == "active"
    play.gateway.conversation_readable = True
    play.gateway.assigned = {"type": "queue", "id": "102"}
    await play.later(4)
    assert await status(play) == "queued"


async def test_late_events_of_the_last_handover_say_nothing_about_the_next(engine: AsyncEngine) -> None:
    async def twice(chat: Chat) -> None:
        for _ in range(2):
            outcome = await chat.handover()
            await chat.say(outcome.status)

    play = await begun(engine, twice)
    await happens(play, QUEUED, member("joined"))
    then = play.clock()
    await happens(play, update("script", "2001"))
    assert play.gateway.texts[-2:] == ["completed", "Connecting you…"]
    await happens(play, agent_says("bye"), member("joined"), at=then - timedelta(seconds=0.001))
    assert await status(play) == "requested"
    await happens(play, QUEUED, member("joined", "b"))
    assert await status(play) == "active"


@pytest.mark.parametrize("ahead", [-240, 240])
async def test_clocks_may_differ_by_minutes(engine: AsyncEngine, ahead: int) -> None:
    play = await begun(engine)
    at = play.clock() + timedelta(seconds=ahead)
    await happens(play, QUEUED, at=at)
    assert await status(play) == "queued"
    await happens(play, member("joined"), at=at + timedelta(seconds=1))
    await happens(play, member("left"), at=at + timedelta(seconds=2))
    play.gateway.assigned = {"type": "script", "id": "2001"}
    await play.later(4)
    assert await status(play) == "completed"


# cancelling


async def test_cancelling_is_not_offered_where_the_conversation_cannot_be_taken_back(
    engine: AsyncEngine,
) -> None:
    async def offers(chat: Chat) -> None:
        outcome = await chat.handover(cancel_text="Stop", cancel_when=lambda text: True)
        await chat.say(outcome.status)

    play = scene(engine, offers, handover={"queue": "101", "message": "Connecting you…"})
    await play.says("hi")
    await play.work()
    assert "cards" not in play.gateway.requests[-1][2]
    for words in ("stop", "never mind"):
        await play.says(words)
        await play.work()
    assert await status(play) == "requested"


async def test_an_agent_who_joins_as_the_user_cancels_takes_nothing_over(engine: AsyncEngine) -> None:
    play = await begun(engine)
    await happens(play, QUEUED)
    await play.says("Stop waiting")
    await play.work()
    assert play.gateway.texts[-1].startswith("cancelled")
    await happens(play, member("joined"), agent_says("hello?"), member("left"), update("script", "2001"))
    await play.says("order status")
    await play.work()
    assert play.gateway.texts[-1] == "back with order status"
    assert await play.value("SELECT count(*) FROM handover") == 1


async def test_what_was_not_sent_when_the_user_cancelled_is_not_sent_any_more(engine: AsyncEngine) -> None:
    play = scene(engine, hands_over, handover=SETTINGS)
    away: list[Outcome] = [Retry(20.0, 429, "HTTP 429")]
    play.gateway.assignment_answers = away
    await play.says("a person please")
    await play.work()
    await play.says("stop waiting")
    await play.work()
    await play.later(30)
    assigned = [each[2]["assignment"]["type"] for each in play.gateway.requests if each[0] == "assignment"]
    assert assigned == ["queue", "script"]
    assert play.gateway.texts == ["cancelled: cancelled by the user"]


async def test_a_cancel_when_that_raises_loses_no_message(engine: AsyncEngine) -> None:
    async def broken(chat: Chat) -> None:
        outcome = await chat.handover(cancel_when=lambda text: bool(int(text)))
        await chat.say(f"{[m.text for m in outcome.messages]}")

    play = await begun(engine, broken)
    await play.says("not a number")
    await play.work()
    assert await play.value("SELECT detail->>'error' FROM incident") == "ValueError in cancel_when"
    await play.says("1")
    await play.work()
    assert play.gateway.texts[-1] == "['not a number', '1']"


async def test_a_second_wait_after_a_transfer_has_its_own_time_limit(engine: AsyncEngine) -> None:
    play = await begun(engine, timeout=120)
    await happens(play, QUEUED, member("joined"))
    await play.later(200)
    assert await status(play) == "active"
    await happens(play, TRANSFER, member("left"), QUEUED)
    await play.later(100)
    assert await status(play) == "queued"
    await play.later(30)
    assert await status(play) == "timed_out"


# the bot


async def test_a_handler_that_fails_leaves_the_handover_to_the_humans(engine: AsyncEngine) -> None:
    async def fails(chat: Chat) -> None:
        async def active(chat: Chat) -> None:
            raise RuntimeError

        await chat.handover(on_active=active)

    play = await begun(engine, fails)
    await happens(play, QUEUED, member("joined"))
    assert await play.value("SELECT status FROM dialog") == "failed"
    assert play.gateway.texts == ["Connecting you…"]  # no apology into an agent's conversation
    await happens(play, member("left"))
    await play.later(4)
    assert (await status(play), await control(play)) == ("completed", "bot")


async def test_a_message_queued_as_the_agent_joins_is_withheld_in_the_same_transaction(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine, repeat_message=True)
    await play.says("anyone?")
    await happens(play, QUEUED, member("joined"))
    assert play.gateway.texts == ["Connecting you…"]
    assert await play.statuses() == ["sent", "sent", "withheld"]


async def test_a_human_who_is_there_before_any_session_leaves_again(engine: AsyncEngine) -> None:
    async def repeats(chat: Chat) -> None:
        await chat.say(chat.message.text)

    play = scene(engine, repeats)
    await happens(play, member("joined"), member("left"))
    await play.later(4)
    assert await control(play) == "bot"
    assert await play.value("SELECT due_at FROM conversation") is None
    await play.says("hello")
    await play.work()
    assert play.gateway.texts == ["hello"]


async def test_what_the_agent_is_told_does_not_become_the_contacts_own(engine: AsyncEngine) -> None:
    play = await begun(engine)
    told = play.gateway.requests[0][2]["user"]["additionalProperties"]
    await happens(play, update("queue", "101", additionalProperties=told))
    profile = await play.value("SELECT profile FROM contact")
    assert "custom" not in profile


@pytest.mark.parametrize("messages", [600])
async def test_a_long_talk_with_an_agent_still_ends(engine: AsyncEngine, messages: int) -> None:
    play = await begun(engine)
    await happens(play, QUEUED, member("joined"))
    await happens(play, *[agent_says(f"line {number}") for number in range(messages)])
    assert await play.value("SELECT jsonb_array_length(signals) FROM handover") < 10
    await happens(play, member("left"))
    await play.later(4)
    assert await status(play) == "completed"


@pytest.mark.parametrize("privacy", [{"mask_sensitive_analytics": True}, {"collect_conversations": False}])
async def test_the_outcome_has_what_was_said_however_the_transcript_is_kept(
    engine: AsyncEngine, privacy: dict[str, bool]
) -> None:
    async def tells(chat: Chat) -> None:
        outcome = await chat.handover("101")
        await chat.say(" ".join(f"{m.author}:{m.text}" for m in outcome.messages))

    play = scene(engine, tells, **privacy)
    await play.says("a person please")
    await play.work()
    await happens(play, QUEUED, member("joined"), agent_says("hello"))
    await play.says("my order")  # each `work` reads the conversation afresh
    await play.work()
    await happens(play, update("script", "2001"))
    assert play.gateway.texts[-1] == "agent:hello user:my order"


async def test_a_human_who_takes_over_with_a_clock_far_behind_is_still_one(engine: AsyncEngine) -> None:
    async def repeats(chat: Chat) -> None:
        await chat.say(chat.message.text)

    play = scene(engine, repeats)
    await play.says("one")
    await play.work()
    await happens(play, member("joined"), at=play.clock() - timedelta(minutes=30))
    assert await control(play) == "human"
    assert await status(play) == "active"


async def test_the_agent_is_told_what_is_known_and_what_the_endpoint_masks_is_masked(
    engine: AsyncEngine,
) -> None:
    async def knows(chat: Chat) -> None:
        chat.intent("refund")
        await chat.handover("101", properties={"order": {"id": 7}, "ip": "10.0.0.1", "long": "x" * 5000})

    known = {"properties": {"team": "blue", "order": "theirs"}, "transcript_url": "https://parley/{id}"}
    play = scene(engine, knows, handover=known, mask_ip_address=True)
    await happens(play, update(None, language="de", phone="+41"))
    await play.says("hi")
    await play.work()
    user = play.gateway.requests[0][2]["user"]
    assert (user["name"], user["language"], user["phone"]) == ("Ada", "de", "+41")
    pairs = {pair["key"]: pair["value"] for pair in user["additionalProperties"]}
    assert len(pairs.pop("long")) == 1000
    number = await play.value("SELECT id FROM conversation")
    assert pairs == {
        "order": '{"id": 7}',
        "ip": "***",
        "team": "blue",
        "language": "de",
        "intent": "refund",
        "transcript": f"https://parley/{number}",
    }


async def test_thirty_properties_are_the_most_and_the_bots_come_first(engine: AsyncEngine) -> None:
    async def tells_all(chat: Chat) -> None:
        await chat.handover("101", summary="short", properties={f"key {n}": n for n in range(30)})

    play = scene(engine, tells_all, handover={"properties": {"team": "blue"}})
    await play.says("hi")
    await play.work()
    pairs = play.gateway.requests[0][2]["user"]["additionalProperties"]
    assert len(pairs) == 30
    assert pairs[0] == {"key": "summary", "value": "short"}
    assert "team" not in [pair["key"] for pair in pairs]


async def test_a_note_to_the_agent_stands_beside_what_was_shown_before(engine: AsyncEngine) -> None:
    async def notes(chat: Chat) -> None:
        async def active(chat: Chat) -> None:
            await chat.say("be gentle", to="agent")

        await chat.handover("101", summary="short", on_active=active)

    play = scene(engine, notes)
    await play.says("hi")
    await play.work()
    await happens(play, member("joined"))
    pairs = play.gateway.requests[-1][2]["user"]["additionalProperties"]
    assert pairs == [{"key": "note", "value": "be gentle"}, {"key": "summary", "value": "short"}]
