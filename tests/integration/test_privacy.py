"""Planted secrets, looked for in every table as text and in every log line, during a session and after it."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.rollup import roll_up
from app.bot import Chat
from app.conversation.lapse import end_lapsed
from app.conversation.modes import set_mode
from app.conversation.privacy.erasure import erase_what_is_left
from app.conversation.services import Services
from app.gateway.outcome import Refused, Retry, Sent
from app.sealing import new_key
from tests.integration.planted import DATA, IDENTITY, REPLAYED, SECRETS, STEP, TEXT, holding, update
from tests.integration.scene import Scene, scene

log = logging.getLogger("a.bot")


def finds() -> dict[str, str]:
    log.warning("a step logs %s", TEXT)
    return {"found": STEP}


async def careless(chat: Chat) -> None:
    """Repeats, keeps and logs whatever it gets."""
    log.warning("a bot logs %s", chat.message.text)
    found = await chat.step(finds, name=f"find {chat.message.text}")
    chat.session["kept"] = [chat.message.text, found]
    await chat.say(f"You said: {chat.message.text}")
    got = await chat.receive()
    structlog.get_logger("a.bot").warning("structured", text=got.text, data=dict(got.data))
    await chat.say(f"And now: {dict(got.data)}")
    await chat.receive()


async def discreet(chat: Chat) -> None:
    """Asks in a private stretch."""
    await chat.say("Hello")
    async with chat.private():
        secret = await chat.ask("Your card number?")
        found = await chat.step(finds, name=f"find {chat.message.text}")
        chat.session["kept"] = [secret, found]
        await chat.say(f"{secret} it is.")
        got = await chat.receive()
    chat.session["more"] = dict(got.data)
    await chat.say("Thanks")
    await chat.receive()


async def talk(play: Scene) -> None:
    """A user who gives everything away, by text, by quick reply and by card."""
    user = {"userId": IDENTITY, "name": "Ann", "language": "de"}
    await play.post(update(play, "active", user=user))
    await play.says(TEXT if play.bots["tests.bots:bot"] is not discreet else "hi")
    await play.work()
    await play.echo(f"You said: {TEXT}")
    if play.bots["tests.bots:bot"] is discreet:
        await play.says(TEXT)
        await play.work()
    reply = {"type": "postback", "data": {"title": "x", "payload": DATA, "deep": [{"er": DATA}]}}
    data = {"name": "quickReply/action", "value": reply}
    await play.post({"eventType": "ACTIVITY", "conversationId": play.conversation, "data": data})
    await play.work()


COMBINATIONS: list[tuple[Any, dict[str, Any]]] = [
    (bot, {**settings, **logs, "encrypt": encrypt})
    for bot, settings in (
        (careless, {"mask_sensitive_analytics": True}),
        (careless, {"collect_conversations": False}),
        (careless, {"mask_sensitive_analytics": True, "collect_analytics": False, "contact_profiles": False}),
        (careless, {"collect_conversations": False, "hide_external_references": True}),
        (discreet, {}),
        (discreet, {"mask_sensitive_analytics": True, "collect_conversations": False}),
    )
    for logs in ({}, {"mask_sensitive_logging": True})
    for encrypt in (False, True)
]


@pytest.mark.parametrize(("bot", "settings"), COMBINATIONS)
async def test_no_secret_is_where_it_must_not_be(
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    logged: io.StringIO,
    bot: Any,
    settings: dict[str, Any],
) -> None:
    monkeypatch.setenv("PARLEY_ENCRYPTION_KEY", new_key())
    play = scene(engine, bot, **settings)
    if settings["encrypt"]:
        seal_arrivals(play, monkeypatch)
    await talk(play)

    during = await holding(play, *SECRETS)
    assert set(during) <= (set() if settings["encrypt"] else REPLAYED)
    if not settings["encrypt"]:
        assert set(during) == REPLAYED - {"dialog"}, "the secrets were really there"
    assert any(TEXT in text for text in play.gateway.texts), "the bot itself saw them"

    await play.post(update(play, "idle"))
    await play.work()
    assert await holding(play, *SECRETS) == {}
    await play.echo(f"late echo of {TEXT}")  # 8x8 sends it when it likes
    await play.work()
    assert await holding(play, *SECRETS) == {}
    assert await play.value("SELECT count(*) FROM session WHERE erased_at IS NULL") == 0
    if settings.get("mask_sensitive_logging"):
        assert logged.getvalue() or bot is discreet
        assert not [word for word in (*SECRETS[:2], IDENTITY) if word in logged.getvalue()]


def seal_arrivals(play: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are stored as the receiver stores them where the endpoint encrypts."""
    from app.receiver.storing import put_away
    from tests.integration import scene as scenes

    endpoint = play.services.endpoints["support"]
    monkeypatch.setattr(scenes, "stored_form", lambda arrival, payload: put_away(endpoint, arrival, payload))


async def test_without_settings_everything_stays_as_it_is(engine: AsyncEngine) -> None:
    play = scene(engine, careless)
    await talk(play)
    await play.post(update(play, "idle"))
    await play.work()
    found = await holding(play, TEXT)
    assert set(found) == {"event", "journal", "delivery", "session", "message"}


async def test_a_session_that_nobody_touches_again_is_ended_and_erased_by_the_clock(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, careless, collect_conversations=False, session_expiration=60)
    await talk(play)
    await release(play)
    assert await tidied(play.services) == 0
    play.clock.forward(61)
    assert await tidied(play.services) == 1
    assert await play.value("SELECT end_reason FROM session") == "expired"
    assert await holding(play, *SECRETS) == {}
    await play.says("hello again")
    await play.work()
    assert await play.value("SELECT max(number) FROM session") == 2


async def test_what_is_still_being_sent_is_erased_once_it_is_done_with(engine: AsyncEngine) -> None:
    play = scene(engine, careless, mask_sensitive_analytics=True)
    play.gateway.answers = [Retry(30.0, 503, "busy")]
    await talk(play)
    await play.post(update(play, "idle"))
    await play.work()
    assert set(await holding(play, *SECRETS)) == {"delivery"}
    await play.later(40)
    assert any(TEXT in text for text in play.gateway.texts), "it was sent all the same"
    assert await erase_what_is_left(engine) == 1
    assert await holding(play, *SECRETS) == {}
    assert await erase_what_is_left(engine) == 0


@pytest.mark.parametrize(
    ("bot", "settings"), [(careless, {"mask_sensitive_analytics": True}), (discreet, {})]
)
async def test_what_8x8_says_of_a_message_it_refuses_is_told_to_nobody(
    engine: AsyncEngine, logged: io.StringIO, bot: Any, settings: dict[str, Any]
) -> None:
    play = scene(engine, bot, **settings)
    play.gateway.answers = [*([Sent(202)] * 2 if bot is discreet else []), Refused(400, f"{TEXT}: too long")]
    await talk(play)
    assert await play.value("SELECT reason FROM delivery WHERE status = 'dead'") == "refused with 400"
    await roll_up(engine, now=play.clock())
    assert set(await holding(play, TEXT)) <= REPLAYED | {"delivery_attempt"}
    assert "delivery_dead" in logged.getvalue() and "too long" not in logged.getvalue()
    await play.post(update(play, "idle"))
    await play.work()
    assert await holding(play, *SECRETS) == {}


async def test_what_8x8_refuses_is_counted_by_status(engine: AsyncEngine) -> None:
    play = scene(engine, careless)
    play.gateway.answers = [Refused(400, f"HTTP 400 bad_{number}, reference {number}") for number in "12"]
    await talk(play)
    reasons = await play.rows("SELECT reason FROM delivery WHERE status = 'dead'")
    assert len({row[0] for row in reasons}) == 2, "ops hear of 8x8's codes"
    await roll_up(engine, now=play.clock())
    parts = await play.rows("SELECT part, count FROM rollup_part WHERE measure = 'dead_letter'")
    assert [tuple(row) for row in parts] == [("refused with 400", 2)]


async def test_a_step_named_after_what_was_said_is_in_no_count_of_drop_offs(engine: AsyncEngine) -> None:
    play = scene(engine, careless, mask_sensitive_analytics=True, handover={"queue": "101"})
    await talk(play)
    await set_mode(engine, "support", "to_queue")
    await play.services.modes.refresh(engine)
    await play.says("an agent, please")
    await play.work()
    assert await play.value("SELECT status FROM dialog") == "closed", "and its session is open"
    await roll_up(engine, now=play.clock())
    assert not set(await holding(play, *SECRETS)) - REPLAYED
    await play.post(update(play, "idle"))
    await play.work()
    await roll_up(engine, now=play.clock())
    assert await holding(play, *SECRETS) == {}


async def test_transcripts_are_masked_from_the_start_with_their_shape_kept(engine: AsyncEngine) -> None:
    play = scene(engine, careless, mask_sensitive_analytics=True)
    await talk(play)
    lines = await play.rows("SELECT author, kind, text, content FROM message ORDER BY id")
    assert (lines[0][0], lines[0][2]) == ("user", "***")
    assert (lines[1][0], lines[1][2]) == ("bot", "You said: ***")
    assert (lines[2][1], lines[2][3]["data"]) == (
        "quick_reply",
        {"title": "***", "payload": "***", "deep": [{"er": "***"}]},
    )


async def test_a_field_can_be_dropped(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        chat.analytics.drop("text")
        chat.analytics.drop("deep")
        await chat.say("ok")
        await chat.receive()

    play = scene(engine, bot)
    await play.says(TEXT)
    await play.work()
    assert "message" not in await holding(play, TEXT)
    await play.post(update(play, "idle"))
    await play.work()
    assert await holding(play, TEXT) == {}


async def test_a_crash_in_a_private_stretch_keeps_it_private(engine: AsyncEngine) -> None:
    play = scene(engine, discreet)
    await play.says("hi")
    await play.work()
    await play.says(TEXT)  # handled by fresh memory: what is private was stored with the dialog
    await play.work()
    said = [row[0] for row in await play.rows("SELECT text FROM message ORDER BY id")]
    assert said == ["hi", "Hello"]


async def test_masked_handovers_still_tell_the_bot_what_was_said(engine: AsyncEngine) -> None:
    heard: list[list[str]] = []

    async def bot(chat: Chat) -> None:
        outcome = await chat.handover("101")
        heard.append([message.text for message in outcome.messages])

    play = scene(engine, bot, collect_conversations=False, handover={"queue": "101"})
    await play.says("agent")
    await play.work()
    members = {"eventType": "MEMBERS_CHANGED", "conversationId": play.conversation}
    await play.post({**members, "data": {"memberType": "agent", "change": "joined", "id": "a"}})
    await play.says(TEXT)
    await play.work()
    await play.post({**members, "data": {"memberType": "agent", "change": "left", "id": "a"}})
    await play.work()
    await play.later(60)
    assert heard[-1] == [TEXT]


async def release(play: Scene) -> None:
    """The worker gives the conversation back."""
    async with play.engine.begin() as connection:
        from sqlalchemy import text

        await connection.execute(text("UPDATE conversation SET owner = NULL"))


async def tidied(services: Services) -> int:
    """What a worker does every now and then."""
    return await end_lapsed(services)
