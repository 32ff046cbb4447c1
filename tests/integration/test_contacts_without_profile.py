"""People whose profile is gone, or never was: what is stored of them is found, handed out and erased."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.contacts.erase import erase
from app.contacts.find import Wanted, export, find_contacts
from app.maintenance import sweep
from app.sealing import VARIABLE, new_key
from tests.integration.scene import Scene, endpoint, scene
from tests.integration.test_contacts_erased import SECRETS, holding

USER = {"userId": SECRETS[0], "name": SECRETS[1], "email": SECRETS[2], "phone": "+0041 79 123 45 67"}
WAYS = (
    Wanted(id="ID-ZOE"),
    Wanted(id="zanzibar-user"),
    Wanted(email="Zoe@Zanzibar.example"),
    Wanted(phone="0041 79 1234567"),
)


async def echoes(chat: Chat) -> None:
    while True:
        await chat.say(f"You said: {chat.message.text}")
        await chat.receive()


async def update(play: Scene, conversation: str, state: str = "active", user: Any = None) -> None:
    """The channel tells of the conversation, and perhaps who it is."""
    data = {"state": state, "channel": "WebChat", "user": user}
    play.conversation = conversation
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": conversation, "data": data})
    await play.work()


async def talked(play: Scene, *, user: dict[str, Any] | None) -> None:
    """Zoe wrote and left, and somebody else did."""
    for conversation, who, said in (
        ("ID-ZOE", user, "zanzibar-text"),
        ("ID-OTHER", {"userId": "other", "email": "other@example.com"}, "else"),
    ):
        play.conversation = conversation
        if who is not None:
            await update(play, conversation, user=who)
        await play.says(said)
        await play.work()
        await update(play, conversation, "idle")


async def forgotten(engine: AsyncEngine) -> None:
    """Nobody came back for so long that profiles go."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE contact SET last_seen_at = now() - interval '31 days'"))
    await sweep(engine, retain_days=90, endpoints=[endpoint()])


async def check(play: Scene, wanted: Wanted) -> None:
    """Found, handed out and erased, and nobody else."""
    engine = play.engine
    assert await play.value("SELECT count(*) FROM contact") == 0
    (found,) = await find_contacts(engine, wanted)
    assert (found["id"], found["identity"], found["conversations"]) == (None, "conversation:ID-ZOE", [1])
    assert await find_contacts(engine, Wanted(wanted.id, wanted.email, wanted.phone, "another")) == []
    stored = await export(engine, wanted)
    assert {row["id"] for row in stored["conversation"]} == {1}
    assert any(row["text"] == "zanzibar-text" for row in stored["message"])
    erased = await erase(engine, wanted)
    assert (len(erased.contacts), erased.conversations) == (1, [1])
    assert await holding(play) == {}
    assert await find_contacts(engine, wanted) == []
    assert await play.value("SELECT count(*) FROM message WHERE text = 'else'") == 1


@pytest.mark.parametrize("wanted", WAYS)
async def test_somebody_whose_profile_has_expired(engine: AsyncEngine, wanted: Wanted) -> None:
    play = scene(engine, echoes)
    await talked(play, user=USER)
    await forgotten(engine)
    await check(play, wanted)


@pytest.mark.parametrize("wanted", WAYS)
async def test_somebody_of_an_endpoint_that_keeps_no_profiles(engine: AsyncEngine, wanted: Wanted) -> None:
    play = scene(engine, echoes, contact_profiles=False)
    await talked(play, user=USER)
    await check(play, wanted)


async def test_somebody_of_whom_the_channel_never_told(engine: AsyncEngine) -> None:
    play = scene(engine, echoes)
    await talked(play, user=None)
    await forgotten(engine)
    await check(play, WAYS[0])


@pytest.mark.parametrize("wanted", WAYS)
async def test_somebody_of_an_endpoint_that_encrypts(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, wanted: Wanted
) -> None:
    key = new_key()
    monkeypatch.setenv(VARIABLE, key)
    play = scene(engine, echoes, encrypt=True)
    await talked(play, user=USER)
    await forgotten(engine)
    monkeypatch.setenv(VARIABLE, new_key())
    with_another_key = await find_contacts(engine, wanted)
    assert len(with_another_key) == (1 if wanted.id == "ID-ZOE" else 0)
    monkeypatch.setenv(VARIABLE, f"{new_key()},{key}")
    await check(play, wanted)


async def test_what_the_bot_learned_finds_too_and_no_clear_text_is_kept_for_it(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.contact.update(email="zoe@zanzibar.example", phone="+0041 79 123 45 67")
        await chat.say("Noted.")
        await chat.receive()
        chat.contact.update(email="new@zanzibar.example")

    play = scene(engine, bot, collect_conversations=False, contact_profiles=False)
    play.conversation = "ID-ZOE"
    for _ in range(2):
        await play.says("hi")
        await play.work()
    await update(play, "ID-ZOE", "idle")
    for wanted in (*WAYS[2:], Wanted(email="new@zanzibar.example")):
        (found,) = await find_contacts(engine, wanted)
        assert found["conversations"] == [1]
    assert await find_contacts(engine, Wanted(email="zoe@zanzibar.example", phone="0041 79 0000000")) == []
    assert await holding(play) == {"conversation": {"ID-ZOE"}}
