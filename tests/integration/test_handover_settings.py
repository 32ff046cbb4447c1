"""What a handover takes from the endpoint and what from the bot, and its place behind what was said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.contacts.sealed import opened_profile
from app.gateway.outcome import InDoubt, Retry
from app.sealing import VARIABLE, new_key
from tests.integration.scene import scene
from tests.integration.test_handovers import (
    QUEUED,
    SETTINGS,
    agent_says,
    begun,
    hands_over,
    happens,
    kinds,
    member,
    status,
)


@pytest.mark.parametrize(("queued", "active"), [(True, True), (False, True), (True, False)])
async def test_the_bot_is_told_of_what_the_endpoint_lets_it_be_told(
    engine: AsyncEngine, queued: bool, active: bool
) -> None:
    async def listens(chat: Chat) -> None:
        async def waits(chat: Chat) -> None:
            await chat.say("You are in the queue.")

        async def talks(chat: Chat) -> None:
            await chat.say("An agent is here.")

        await chat.handover(on_queued=waits, on_active=talks)

    play = await begun(engine, listens, message=None, on_queued=queued, on_active=active)
    await happens(play, QUEUED)
    await happens(play, member("joined"))
    said = ["You are in the queue."] * queued + ["An agent is here."] * active
    assert play.gateway.texts == said


async def test_what_the_bot_says_goes_before_the_endpoints_settings(engine: AsyncEngine) -> None:
    async def chooses(chat: Chat) -> None:
        outcome = await chat.handover(
            "102", "One of us comes.", {"team": "red"}, "Enough", timeout=timedelta(seconds=30)
        )
        await chat.say(outcome.status)

    play = await begun(engine, chooses, timeout=600, properties={"team": "blue", "shop": "1"})
    _, _, first = play.gateway.requests[0]
    assert first["assignment"] == {"type": "queue", "id": "102"}
    assert {pair["key"]: pair["value"] for pair in first["user"]["additionalProperties"]} == {
        "team": "red",
        "shop": "1",
    }
    assert play.gateway.requests[1][2]["cards"][0]["content"]["options"][0]["title"] == "Enough"
    await happens(play, QUEUED)
    await play.later(31)
    assert play.gateway.texts == ["One of us comes.", "timed_out"]


async def test_the_outcome_tells_how_long_it_took(engine: AsyncEngine) -> None:
    async def measures(chat: Chat) -> None:
        outcome = await chat.handover("101")
        assert outcome.waiting_seconds is not None and outcome.handling_seconds is not None
        waited = 40 <= outcome.waiting_seconds < 80  # what the clock is set to, and what the test takes
        handled = 300 <= outcome.handling_seconds < 340
        await chat.say(f"{waited} {handled} {list(outcome.agent_ids)}")

    play = scene(engine, measures)
    await play.says("a person please")
    await play.work()
    for event, after in ((QUEUED, 0), (member("joined"), 40), (member("left"), 300)):
        play.clock.forward(after)
        await happens(play, event)
    await play.later(4)
    assert play.gateway.texts == ["True True ['a']"]


@pytest.mark.parametrize("trouble", [Retry(20.0, 429, "HTTP 429"), InDoubt(500, "HTTP 500")])
async def test_the_assignment_never_overtakes_a_reply_that_is_in_trouble(
    engine: AsyncEngine, trouble: Any
) -> None:
    play = scene(engine, hands_over, handover=SETTINGS)
    play.gateway.answers = [trouble]
    await play.says("a person please")
    await play.work()
    assert kinds(play) == ["message"]
    for _ in range(3):
        await play.later(10)
    assert kinds(play) == ["message", "message", "assignment", "message"]
    assert play.gateway.texts == ["One moment…", "Connecting you…"]


@pytest.mark.parametrize("behind", [0, 300])
async def test_a_conversation_that_cannot_be_read_for_a_minute_is_over_whatever_8x8s_clock_says(
    engine: AsyncEngine, behind: int
) -> None:
    play = await begun(engine)
    at = play.clock() - timedelta(seconds=behind)
    for second, event in enumerate((QUEUED, member("joined"), member("left"))):
        data = {"conversationId": play.conversation, **event}
        await play.post(data, at=at + timedelta(seconds=second))
        await play.work()
    play.gateway.conversation_readable = False
    for _ in range(19):
        await play.later(3.1)
        assert await status(play) == "active"
    await play.later(3.1)
    assert await status(play) == "completed"


async def test_the_button_cancels_whatever_its_title_came_back_as(engine: AsyncEngine) -> None:
    play = await begun(engine)
    option = play.gateway.requests[-1][2]["cards"][0]["content"]["options"][0]
    data = {"title": "Nicht mehr warten", "payload": option["data"]["postback"]}
    value = {"type": "postback", "data": data}
    click = {"eventType": "ACTIVITY", "data": {"name": "quickReply/action", "value": value}}
    await happens(play, QUEUED, click)
    assert await status(play) == "cancelled"


async def test_each_change_is_a_row_with_its_time_and_so_are_the_agents_first_words(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine)
    at = play.clock()
    said = agent_says("hello")
    events = [QUEUED, member("joined"), said, said, member("left")]
    for second, event in enumerate(events, start=1):
        data = {"conversationId": play.conversation, **event}
        await play.post(data, at=at + timedelta(seconds=second))
        await play.work()
    await play.later(4)
    rows = await play.rows(
        "SELECT status, cause, agent_id, at, event_id IS NOT NULL FROM handover_transition ORDER BY id"
    )
    assert [tuple(row[:3]) for row in rows] == [
        ("requested", "asked", None),
        ("queued", "queued", None),
        ("active", "joined", "a"),
        ("active", "wrote", "a"),
        ("completed", "looked", None),
    ]
    assert [row[3] for row in rows[1:4]] == [at + timedelta(seconds=second) for second in (1, 2, 3)]
    assert [row[4] for row in rows] == [False, True, True, True, False]


async def test_an_agents_message_is_enough_to_know_that_a_human_has_the_conversation(
    engine: AsyncEngine,
) -> None:
    play = await begun(engine, repeat_message=True)
    await happens(play, agent_says("How can I help?"))
    assert await status(play) == "active"
    await play.says("my order")
    await play.work()
    assert play.gateway.texts == ["One moment…", "Connecting you…"]
    await happens(play, member("left"))
    await play.later(4)
    assert play.gateway.texts[-1] == "completed ['a'] ['How can I help?', 'my order']"


@pytest.mark.parametrize("encrypt", [False, True])
async def test_what_agents_are_shown_never_becomes_the_contacts(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, encrypt: bool
) -> None:
    async def tells(chat: Chat) -> None:
        chat.intent("complaint")
        await chat.handover(properties={"order": chat.message.text, chat.message.text: "x"})
        await chat.say("And now?")
        await chat.receive()
        await chat.handover(properties={"second": chat.message.text})

    monkeypatch.setenv(VARIABLE, new_key())
    masks: dict[str, Any] = {"encrypt": True} if encrypt else {"mask_sensitive_analytics": True}
    shown = {"properties": {"shop": "zanzibar-shop"}, "queue": "101"}
    play = scene(engine, tells, handover={**SETTINGS, **shown}, **masks)
    own = {"key": "plan", "value": "gold"}
    pairs: list[dict[str, str]] = []

    async def told(state: str = "active") -> None:
        """8x8 shows the conversation's user as everybody made it."""
        user = {"userId": "u1", "additionalProperties": [*pairs, own]}
        data = {"state": state, "channel": "WebChat", "user": user}
        update = {"eventType": "CONVERSATION_UPDATE", "conversationId": play.conversation, "data": data}
        await happens(play, update)

    await told()
    for said in ("zanzibar-one", "zanzibar-two"):
        await play.says(said)
        await play.work()
        asked = next(body for kind, _, body in reversed(play.gateway.requests) if kind == "assignment")
        pairs += asked["user"]["additionalProperties"]
        await told()
        await happens(play, member("joined"))
        await told()
        await happens(play, member("left"))
        await play.later(60)
        await told()
    assert {pair["key"] for pair in pairs} >= {"order", "second", "shop", "intent", "channel", "zanzibar-one"}
    await told("idle")
    await told()
    await happens(play, member("joined"))  # one comes unasked
    await told()
    profiles = [opened_profile(row[0]) for row in await play.rows("SELECT profile FROM contact")]
    assert [profile["custom"] for profile in profiles] == [{"plan": "gold"}]
    settings = str(await play.rows("SELECT settings FROM handover WHERE ended_at IS NOT NULL"))
    assert "zanzibar" not in settings
