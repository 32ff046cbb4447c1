"""What a bot keeps out of transcript and analytics: private stretches, and fields of an input."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.rollup import roll_up
from app.bot import Chat
from tests.integration.planted import DATA, REPLAYED, TEXT, holding, update
from tests.integration.scene import Scene, scene
from tests.integration.test_handovers import agent_says, happens, member
from tests.integration.test_inject_notify import called
from tests.integration.test_modes import press

SETTINGS: dict[str, Any] = {"queue": "101", "message": "Connecting you…"}


async def over(play: Scene) -> None:
    """8x8 says that the conversation is idle: its session is over."""
    await play.post(update(play, "idle"))
    await play.work()


async def test_a_handover_within_a_private_stretch_is_private(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        async with chat.private():
            outcome = await chat.handover(message=f"about {TEXT}")
            await chat.say(f"{len(outcome.messages)} messages")
            await chat.receive()
        await chat.say("In public again")
        await chat.receive()

    play = scene(engine, bot, handover=SETTINGS)
    await play.says("hi")
    await play.work()
    await play.says(f"{TEXT} while I wait")
    await happens(play, member("joined"), agent_says(f"{TEXT}, you say?"))
    await play.says(f"{TEXT} for you")
    await play.work()
    await called(play, "INJECT", TEXT, secret=DATA)
    before = play.clock()
    await happens(play, member("left"))
    await play.later(10)
    await play.post({**agent_says(f"{TEXT}, it was"), "conversationId": play.conversation}, at=before)
    await play.work()
    assert "3 messages" in play.gateway.texts, "the bot heard them"
    lines = await play.rows("SELECT text FROM message ORDER BY id")
    assert [row[0] for row in lines] == ["hi", "In public again"]
    assert not {"message", "mark"} & set(await holding(play, TEXT, DATA))
    await over(play)
    await roll_up(engine, now=play.clock())
    assert await holding(play, TEXT, DATA) == {}


async def test_what_a_service_says_into_a_private_stretch_is_private(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        async with chat.private():
            await chat.receive()
        await chat.receive()

    play = scene(engine, bot)
    await play.says("hi")
    await play.work()
    await called(play, "NOTIFY", f"notify {TEXT}")
    await called(play, "INJECT", f"inject {TEXT}")
    assert [row[0] for row in await play.rows("SELECT text FROM message")] == ["hi"]


@pytest.mark.parametrize("mode", ["silent", "to_queue"])
async def test_an_answer_in_private_that_ops_keep_from_the_bot_is_in_no_transcript(
    engine: AsyncEngine, mode: str
) -> None:
    async def bot(chat: Chat) -> None:
        async with chat.private():
            await chat.receive()

    play = scene(engine, bot, handover=SETTINGS)
    await play.says("hi")
    await play.work()
    await press(play, mode)
    await play.says(TEXT)
    await play.work()
    assert "message" not in await holding(play, TEXT)


async def marks(chat: Chat) -> None:
    """Names intent and goal after what was said."""
    async with chat.private():
        secret = await chat.ask("Your card number?")
        chat.intent(f"card {secret}")
        chat.goal(f"paid with {secret}")
        chat.understood(False)
        await chat.receive()
    await chat.receive()


async def test_marks_of_a_private_stretch_are_in_no_analytics(engine: AsyncEngine) -> None:
    play = scene(engine, marks)
    await play.says("hi")
    await play.work()
    await play.says(TEXT)
    await play.work()
    await roll_up(engine, now=play.clock())
    assert set(await holding(play, TEXT)) <= REPLAYED
    assert await play.value("SELECT count(*) FROM mark") == 0
    await over(play)
    await roll_up(engine, now=play.clock())
    assert await holding(play, TEXT) == {}


async def test_marks_that_hold_an_input_are_masked_where_transcripts_are(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.intent(f"wants {chat.message.text}")
        chat.goal("shipped")
        chat.understood()
        await chat.receive()

    play = scene(engine, bot, mask_sensitive_analytics=True)
    await play.says(TEXT)
    await play.work()
    rows = await play.rows("SELECT kind, value FROM mark ORDER BY position")
    assert [tuple(row) for row in rows] == [
        ("intent", "wants ***"),
        ("goal", "shipped"),
        ("understood", "true"),
    ]
    await roll_up(engine, now=play.clock())
    await over(play)
    await roll_up(engine, now=play.clock())
    assert await holding(play, TEXT) == {}


async def test_a_field_can_be_dropped_after_a_step(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        await chat.step(dict, name="look")
        chat.analytics.drop("text")
        await chat.step(dict, name="look again")
        got = await chat.receive()
        await chat.step(dict, name="and again", text=got.text)
        chat.analytics.drop("deep")
        await chat.receive()

    play = scene(engine, bot)
    await play.says(TEXT)
    await play.work()
    assert "message" not in await holding(play, TEXT)
    await clicks(play, title="A title", deep=[{"er": DATA}])
    assert "message" not in await holding(play, DATA)
    kept = await play.rows("SELECT text, content->'data' FROM message WHERE author = 'user' ORDER BY id")
    assert [tuple(row) for row in kept] == [
        ("***", None),
        ("A title", {"title": "A title", "payload": "p", "deep": [{"er": "***"}]}),
    ]


@pytest.mark.parametrize("after_step", [False, True])
async def test_a_dropped_field_is_nowhere_else_in_its_line(engine: AsyncEngine, after_step: bool) -> None:
    async def bot(chat: Chat) -> None:
        await chat.receive()
        if after_step:
            await chat.step(dict, name="look")
        chat.analytics.drop("title")
        await chat.receive()

    play = scene(engine, bot)
    await play.says("hi")
    await play.work()
    await clicks(play, title=TEXT)
    assert "message" not in await holding(play, TEXT)
    assert await play.value("SELECT text FROM message ORDER BY id DESC LIMIT 1") == "***"


async def clicks(play: Scene, **data: Any) -> None:
    """The user clicks on something."""
    reply = {"type": "postback", "data": {"title": "x", "payload": "p", **data}}
    content = {"name": "quickReply/action", "value": reply}
    await play.post({"eventType": "ACTIVITY", "conversationId": play.conversation, "data": content})
    await play.work()
