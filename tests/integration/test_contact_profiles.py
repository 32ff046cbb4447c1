"""Contacts: what the channel and the bot tell of them, and which conversations share one."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from tests.integration.scene import Scene, scene


async def learns(chat: Chat) -> None:
    chat.contact.update(email="ann@example.com", custom={"shoe": 42}, consent={"marketing": False})
    await chat.say(f"{chat.contact['email']} {chat.contact.get('name')}")
    await chat.receive()
    chat.contact.update(custom={"hat": 7}, email=None)
    await chat.say(f"{chat.contact.get('email')} {sorted(chat.contact['custom'])}")
    await chat.receive()
    chat.contact.deactivate()


async def tell(play: Scene, channel: str = "WebChat", msisdn: str | None = None, **user: Any) -> None:
    """The channel says who it is."""
    data = {"state": "active", "channel": channel, "user": user, "msisdn": msisdn}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": play.conversation, "data": data})
    await play.work()


async def profiles(play: Scene) -> dict[str, dict[str, Any]]:
    """Profiles by identity."""
    rows = await play.rows("SELECT identity, profile FROM contact ORDER BY id")
    return {row[0]: row[1] for row in rows}


async def test_what_a_bot_learns_is_kept_and_is_the_same_in_every_replay(engine: AsyncEngine) -> None:
    play = scene(engine, learns)
    await tell(play, userId="u1", name="Ann")
    for word in "abc":
        await play.says(word)
        await play.work()
    assert play.gateway.texts == ["ann@example.com Ann", "None ['hat', 'shoe']"]
    assert await profiles(play) == {
        "user:u1": {
            "name": "Ann",
            "userId": "u1",
            "custom": {"hat": 7, "shoe": 42},
            "consent": {"marketing": False},
        }
    }
    assert await play.value("SELECT active FROM contact") is False


async def test_what_the_channel_tells_is_added_to_what_the_bot_learned(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.contact.update(custom={"shoe": 42})
        for _ in range(2):
            await chat.say(f"{sorted(chat.contact['custom'])}")
            await chat.receive()

    play = scene(engine, bot)
    await tell(play, userId="u1")
    await play.says("hi")
    await play.work()
    for vip in ("yes", "no"):
        await tell(play, userId="u1", additionalProperties=[{"key": "vip", "value": vip}])
        assert (await profiles(play))["user:u1"]["custom"] == {"shoe": 42, "vip": vip}
    await play.says("hi again")
    await play.work()
    assert play.gateway.texts == ["['shoe']", "['shoe', 'vip']"]


async def test_what_was_said_before_the_channel_verified_who_it_is_only_adds(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.contact.update(email="typed@example.com", company="Acme", custom={"shoe": 42, "hat": 1})
        await chat.receive()
        await chat.say(f"{chat.contact['email']} {chat.contact['company']}")

    play = scene(engine, bot)
    play.conversation = "A"
    known = [{"key": "hat", "value": "7"}]
    await tell(play, userId="u1", email="real@example.com", additionalProperties=known)
    play.conversation = "B"
    await play.says("hi")
    await play.work()
    await tell(play, userId="u1")
    (profile,) = (await profiles(play)).values()
    assert profile == {
        "userId": "u1",
        "email": "real@example.com",
        "company": "Acme",
        "custom": {"shoe": 42, "hat": "7"},
    }
    await play.says("who am I?")
    await play.work()
    assert play.gateway.texts == ["real@example.com Acme"]


async def test_an_inactive_contact_learns_nothing_more(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.contact.deactivate()
        chat.contact.update(phone="+41")

    play = scene(engine, bot)
    await tell(play, userId="u1", name="Ann")
    for _ in range(2):
        await play.says("x")
        await play.work()
    await tell(play, userId="u1", name="Other")
    profile = (await profiles(play))["user:u1"]
    assert profile["name"] == "Ann"


async def test_conversations_share_a_contact_only_by_what_the_channel_verified(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.contact.update(email="same@example.com")

    play = scene(engine, bot)
    for conversation, told in (
        ("A", {"userId": "u1"}),
        ("B", {"userId": "u1"}),
        ("C", {"email": "same@example.com"}),
        ("D", {"channel": "WhatsApp", "msisdn": "+4179"}),
        ("E", {"channel": "SMS", "msisdn": "+4179"}),
        ("F", {"channel": "WebChat", "msisdn": "+4179"}),
    ):
        play.conversation = conversation
        await play.says("hi")
        await play.work()
        await tell(play, **told)
    shared = await play.rows(
        "SELECT k.identity, string_agg(c.external_id, '' ORDER BY c.id) FROM contact k "
        "JOIN conversation c ON c.contact_id = k.id GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in shared] == [
        ("address:+4179", "DE"),
        ("conversation:C", "C"),
        ("conversation:F", "F"),
        ("user:u1", "AB"),
    ]
    assert len(await profiles(play)) == 4, "what a conversation had of its own went over to the verified one"
    assert (await profiles(play))["user:u1"]["email"] == "same@example.com"


async def test_without_profiles_nothing_of_a_contact_outlives_the_session(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(f"{chat.contact.get('name')}")
        await chat.receive()
        await chat.end()

    play = scene(engine, bot, contact_profiles=False)
    await tell(play, userId="u1", name="Ann")
    await play.says("hi")
    await play.work()
    assert play.gateway.texts == ["Ann"]
    assert list(await profiles(play)) == ["conversation:ID-0"]
    await play.says("bye")
    await play.work()
    assert await profiles(play) == {}
