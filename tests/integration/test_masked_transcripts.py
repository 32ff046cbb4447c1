"""`mask_sensitive_analytics`: who repeats what a user sent, later in the session, repeats asterisks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.sealing import new_key
from tests.integration.planted import DATA, REPLAYED, TEXT, holding, update
from tests.integration.scene import Scene, scene
from tests.integration.test_handovers import agent_says, happens, member
from tests.integration.test_inject_notify import called


async def lines(play: Scene, author: str) -> list[str]:
    rows = await play.rows("SELECT text FROM message WHERE author = :a ORDER BY id", a=author)
    return [row[0] for row in rows]


@pytest.fixture(params=[False, True], ids=["clear", "sealed"])
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PARLEY_ENCRYPTION_KEY", new_key())
    return {"mask_sensitive_analytics": True, "encrypt": request.param, "handover": {"queue": "101"}}


async def test_what_was_said_during_a_handover_is_repeated_by_nobody(
    engine: AsyncEngine, settings: dict[str, Any]
) -> None:
    async def bot(chat: Chat) -> None:
        outcome = await chat.handover()
        await chat.say(" / ".join(message.text for message in outcome.messages))
        await chat.receive()

    play = scene(engine, bot, **settings)
    await play.says("an agent")
    await play.work()
    await happens(play, member("joined"))
    await play.says(TEXT)
    await happens(play, agent_says(f"So {TEXT} it is, Ms Ann?"), member("left"))
    await play.later(10)
    assert play.gateway.texts[-1] == f"{TEXT} / So {TEXT} it is, Ms Ann?"
    assert await lines(play, "agent") == ["***"]
    assert await lines(play, "bot") == ["*** / ***"]
    assert set(await holding(play, TEXT)) <= REPLAYED
    await play.post(update(play, "idle"))
    await play.work()
    assert await holding(play, TEXT) == {}
    left = await play.value("SELECT settings FROM handover")
    assert not {"sealed", "packet", "message"} & set(left), "not even sealed"


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_second_dialog_repeats_no_input_of_the_first(
    engine: AsyncEngine, settings: dict[str, Any], at_once: bool
) -> None:
    async def bot(chat: Chat) -> None:
        if "kept" in chat.session:
            await chat.say(f"Once more: {chat.session['kept']}, {chat.session['kept'].upper()}")
            await chat.say(f"Number {chat.session['number']}")
            return
        chat.session["kept"] = chat.message.text
        chat.session["number"] = int((await chat.receive()).text.split()[-1])

    play = scene(engine, bot, **settings)
    for words in (TEXT, "It is 47114711", "again"):
        await play.says(words)
        if not at_once:
            await play.work()
    await play.work()
    assert play.gateway.texts[-1] == "Number 47114711"
    assert await lines(play, "bot") == ["Once more: ***, ***", "Number ***"]


async def test_the_next_session_is_its_own(engine: AsyncEngine, settings: dict[str, Any]) -> None:
    async def bot(chat: Chat) -> None:
        await chat.say("Good morning")

    play = scene(engine, bot, **settings)
    await play.says("morning")
    await play.work()
    await play.post(update(play, "idle"))
    await play.says("hello")
    await play.work()
    assert await lines(play, "bot") == ["Good ***", "Good morning"]


async def test_what_services_say_is_masked_and_repeated_by_nobody(
    engine: AsyncEngine, settings: dict[str, Any]
) -> None:
    async def bot(chat: Chat) -> None:
        got = await chat.receive()
        await chat.say(f"{got.text} with {got.data['secret']}")
        await chat.receive()

    play = scene(engine, bot, **settings)
    await play.says("hi")
    await play.work()
    await called(play, "INJECT", TEXT, secret=DATA)
    await called(play, "NOTIFY", f"notified of {TEXT}")
    assert play.gateway.texts == [f"{TEXT} with {DATA}", f"notified of {TEXT}"]
    assert await lines(play, "bot") == ["*** with ***", "***"]
    assert set(await holding(play, TEXT, DATA)) <= REPLAYED
