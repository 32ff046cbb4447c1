"""Contacts of an endpoint that encrypts: nothing of a person can be read in any table, and all goes on."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.console import reading, story
from app.contacts.erase import erase
from app.contacts.find import Wanted, export, find_contacts
from app.database.tables import metadata
from app.receiver.database import Database
from app.receiver.storing import put_away
from app.sealing import VARIABLE, new_key
from tests.integration import scene as scenes
from tests.integration.scene import Scene, endpoint, scene

USER = {"userId": "zoe-user", "name": "Zoe Zanzibar", "email": "Zoe@Zanzibar.example", "language": "de"}
PHONE = "+41 79 123 45 67"
SECRETS = ("zoe-user", "zanzibar", "79 123 45 67", "41791234567", "size 42")


async def learns(chat: Chat) -> None:
    name = chat.contact.get("name")
    chat.contact.update(phone=PHONE, custom={"shoe": "size 42"})
    await chat.say(f"{name} {chat.contact.get('custom')}")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    value = new_key()
    monkeypatch.setenv(VARIABLE, value)
    return value


def sealing(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Scene:
    """A scene whose receiver and worker encrypt; transcripts aren't kept, so that nothing else is there."""
    play = scene(engine, learns, encrypt=True, collect_conversations=False, **changes)
    monkeypatch.setattr(
        scenes,
        "stored_form",
        lambda arrival, payload: put_away(play.services.endpoints["support"], arrival, payload),
    )
    return play


async def tell(play: Scene, conversation: str = "ID-0", **data: Any) -> None:
    """The channel says who it is, and the user writes."""
    play.conversation = conversation
    data = {"state": "active", "channel": "WebChat", "user": USER, **data}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": conversation, "data": data})
    await play.work()
    await play.says("hi")
    await play.work()


async def holding(play: Scene) -> dict[str, set[str]]:
    """Which tables hold anything of Zoe, in whatever case."""
    found: dict[str, set[str]] = {}
    for name in metadata.tables:
        rows = await play.rows(f"SELECT CAST(t AS text) || CAST(to_jsonb(t) AS text) FROM {name} t")
        for secret in SECRETS:
            if any(secret in row[0].lower() or secret.encode().hex() in row[0] for row in rows):
                found.setdefault(name, set()).add(secret)
    return found


async def test_no_table_can_be_read_and_the_bot_still_knows_the_contact(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    play = sealing(engine, monkeypatch)
    await tell(play)
    assert await holding(play) == {}
    assert play.gateway.texts == ["Zoe Zanzibar {'shoe': 'size 42'}"]
    await tell(play, "ID-1")
    assert await play.value("SELECT count(*) FROM contact") == 1, "the same user id is the same contact"
    assert await play.value("SELECT language FROM analytics_contacts") == "de"
    names = "SELECT count(*) FROM analytics_contacts WHERE name IS NOT NULL OR email IS NOT NULL"
    assert await play.value(names) == 0
    assert await holding(play) == {}


@pytest.mark.parametrize(
    "wanted",
    [Wanted(id="zoe-user"), Wanted(email="zoe@ZANZIBAR.example"), Wanted(phone="0041 79 1234567"[2:])],
)
async def test_who_has_the_key_finds_hands_out_and_erases(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, key: str, wanted: Wanted
) -> None:
    play = sealing(engine, monkeypatch)
    await tell(play)
    (found,) = await find_contacts(engine, wanted)
    assert (found["profile"]["name"], found["conversations"]) == ("Zoe Zanzibar", [1])
    assert (await export(engine, wanted))["contacts"][0]["profile"]["email"] == USER["email"]
    assert await find_contacts(engine, Wanted(id="somebody")) == []
    assert (await erase(engine, wanted)).conversations == [1]
    assert await play.value("SELECT count(*) FROM contact") == 0


async def test_services_and_the_console_find_it(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, key: str, database_url: str
) -> None:
    play = sealing(engine, monkeypatch)
    await tell(play)
    database = await Database.open(database_url)
    try:
        found = await database.find_conversation("support", None, "zoe-user")
        assert found is not None and found.external_id == "ID-0"
        assert await database.find_conversation("support", "ID-0", "zoe-user") is not None
        assert await database.find_conversation("support", "ID-0", "another-user") is None
    finally:
        await database.aclose()
    for q in ("zoe-user", "zoe@zanzibar.example", PHONE, "Zoe Zanzibar"):
        rows, _ = await reading.sessions(engine, reading.Search(q=q), None)
        assert [row["name"] for row in rows] == ["Zoe Zanzibar"], q
    shown = await story.read_story(engine, 1, None)
    assert shown is not None and shown.conversation["phone"] == PHONE


async def test_a_new_key_and_switching_encryption_keep_the_contact_one(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    play = sealing(engine, monkeypatch)
    plain, sealed = endpoint(), play.services.endpoints["support"]
    play.services.endpoints["support"] = plain  # type: ignore[index]  # a reload
    await tell(play, "A")
    assert (await play.rows("SELECT identity, profile->>'name' FROM contact"))[0] == (
        "user:zoe-user",
        "Zoe Zanzibar",
    )
    both = f"{new_key()},{key}"
    for number, (settings, keys) in enumerate(
        ((sealed, key), (sealed, both), (plain, both), (sealed, both), (sealed, both.partition(",")[0]))
    ):
        monkeypatch.setenv(VARIABLE, keys)
        play.services.endpoints["support"] = settings  # type: ignore[index]
        await tell(play, f"conversation {number}")
        (row,) = await play.rows("SELECT id, identity, profile::text FROM contact")
        assert row[0] == 1
        assert ("zoe-user" in row[1]) == ("Zanzibar" in row[2]) == (settings is plain)
        (found,) = await find_contacts(engine, Wanted(email=USER["email"]))
        assert found["profile"]["custom"] == {"shoe": "size 42"}


async def test_what_the_channel_tells_is_added_to_what_the_bot_learned(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    play = sealing(engine, monkeypatch)
    await tell(play)
    user = {**USER, "additionalProperties": [{"key": "vip", "value": "yes"}]}
    data = {"state": "active", "channel": "WebChat", "user": user}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": "ID-0", "data": data})
    await play.work()
    (found,) = await find_contacts(engine, Wanted(id="zoe-user"))
    assert found["profile"]["custom"] == {"shoe": "size 42", "vip": "yes"}


async def test_an_inactive_contact_learns_nothing_more(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    async def leaves(chat: Chat) -> None:
        chat.contact.deactivate()

    play = sealing(engine, monkeypatch)
    play.bots["tests.bots:bot"] = leaves
    await tell(play)
    await tell(play, user={**USER, "name": "Other"})
    (found,) = await find_contacts(engine, Wanted(id="zoe-user"))
    assert (found["active"], found["profile"]["name"]) == (False, "Zoe Zanzibar")
