"""Typed content, numbered answers, long texts and indicators, in a whole conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Buttons, Chat, Link, Postback
from app.conversation import indicators
from app.conversation.ids import Ids
from app.endpoints import Endpoint
from app.gateway.outcome import Outcome, Refused, Sent
from tests.integration.scene import PlayedGateway, Scene, scene, until


async def channel_is(play: Scene, channel: str) -> None:
    data = {"state": "active", "channel": channel}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": play.conversation, "data": data})


async def chooses(chat: Chat) -> None:
    await chat.say(Buttons("What now?", [Postback("Order", "order"), Link("Prices", "https://shop.example")]))
    while True:
        message = await chat.receive()
        await chat.say(f"{message.kind} {message.text} {message.payload}", quick_replies=["Yes", "No"])


async def test_a_number_is_a_choice_where_choices_are_numbered_and_stays_one_in_replays(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, chooses)
    await channel_is(play, "WhatsApp")
    for word in ("hi", "1", "2.", "7"):
        await play.says(word)
        await play.work()
    choices = "\n\n1. Yes\n2. No"
    assert play.gateway.texts == [
        "What now?\n\n1. Order\nPrices: https://shop.example",
        f"quick_reply Order order{choices}",
        f"quick_reply No No{choices}",
        f"text 7 None{choices}",
    ]
    assert all("cards" not in body for _, _, body in play.gateway.requests)
    journaled = await play.rows(
        "SELECT content->'message'->>'kind', content->'message'->'data'->>'written' FROM journal "
        "WHERE kind = 'input' ORDER BY position"
    )
    assert [tuple(row) for row in journaled] == [
        ("text", None),
        ("quick_reply", "1"),
        ("quick_reply", "2."),
        ("text", None),
    ]


async def test_a_number_is_a_choice_of_the_newest_dialog_whichever_worker_began_it(
    engine: AsyncEngine,
) -> None:
    async def bot(chat: Chat) -> None:
        await chat.say(f"{chat.message.text}?", quick_replies=[f"not {chat.message.text}"])

    play = scene(engine, bot)
    await channel_is(play, "WhatsApp")
    lower, higher = Ids(engine, "dialog_id_seq"), Ids(engine, "dialog_id_seq")
    await lower.reserve(10)
    for worker, word in ((higher, "tea"), (lower, "rice")):
        play.services.ids = replace(play.services.ids, dialog=worker)
        await play.says(word)
        await play.work()
    await play.says("1")
    await play.work()
    assert play.gateway.texts[-1].startswith("not rice?")


async def test_on_webchat_choices_are_cards_a_click_is_the_same_choice_and_a_number_a_number(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, chooses)
    await channel_is(play, "WebChat")
    await play.says("hi")
    await play.work()
    [(_, _, body)] = play.gateway.requests
    [card] = body["cards"]
    click = {"type": "Action.Submit", "data": card["content"]["actions"][0]["data"]}
    data = {"name": "adaptiveCard/action", "value": click}
    await play.post({"eventType": "ACTIVITY", "conversationId": play.conversation, "data": data})
    await play.work()
    await play.says("1")
    await play.work()
    assert play.gateway.texts == ["What now?", "quick_reply Order order", "text 1 None"]


async def offers_and_ends(chat: Chat) -> None:
    message = chat.message
    await chat.say("Welcome.", quick_replies=["Old"]) if message.kind == "text" else None
    await chat.say(f"{message.kind} {message.payload}", quick_replies=["Yes", "No"])


async def test_what_a_dialog_offered_at_its_end_is_answered_by_number_too(engine: AsyncEngine) -> None:
    play = scene(engine, offers_and_ends)
    await channel_is(play, "SMS")
    for word in ("hi", "2", "1"):  # each by a worker that reads the conversation anew
        await play.says(word)
        await play.work()
    assert [text.partition("\n")[0] for text in play.gateway.texts] == [
        "Welcome.",
        "text None",
        "quick_reply No",
        "quick_reply Yes",
    ]


async def test_what_another_session_offered_is_no_choice_any_more(engine: AsyncEngine) -> None:
    async def ends_the_session(chat: Chat) -> None:
        await offers_and_ends(chat)
        await chat.end()

    play = scene(engine, ends_the_session)
    await channel_is(play, "SMS")
    for word in ("hi", "2"):
        await play.says(word)
        await play.work()
    assert play.gateway.texts[-1].startswith("text None")


async def talks_long(chat: Chat) -> None:
    for number in range(8):
        await chat.say(f"{number} is the number of this sentence. " * 270)


async def test_a_long_text_is_several_deliveries_in_order(engine: AsyncEngine) -> None:
    play = scene(engine, talks_long)
    await channel_is(play, "Viber")
    await play.says("hi")
    await play.work()
    texts = play.gateway.texts
    assert len(texts) > 60 and all(len(text) <= 1000 and text.endswith(".") for text in texts)
    assert " ".join(texts) == " ".join(
        f"{number} is the number of this sentence." for number in range(8) for _ in range(270)
    )
    assert await play.statuses() == ["sent"] * len(texts)


class Indicating(PlayedGateway):
    """Keeps the indicators it is sent, and refuses them."""

    async def typing(self, endpoint: Endpoint, conversation: str, *, timeout: float | None = None) -> Outcome:
        return self._take("typing", {})

    async def thinking(
        self, endpoint: Endpoint, conversation: str, *, seconds: int = 60, timeout: float | None = None
    ) -> Outcome:
        return self._take("thinking", {"seconds": seconds})

    async def read_receipt(
        self, endpoint: Endpoint, conversation: str, read_at: datetime, *, timeout: float | None = None
    ) -> Outcome:
        if self.requests:
            raise OSError("away")
        return self._take("read", {"at": read_at})

    def _take(self, kind: str, content: Mapping[str, Any]) -> Outcome:
        self.requests.append((kind, "", dict(content)))
        return Sent(204) if kind == "typing" else Refused(400, "no")

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.requests]


def indicating(play: Scene) -> Indicating:
    gateway = play.gateway = play.services.gateway = Indicating(play.clock)
    play.services.indicators = indicators.Indicators(gateway, play.services.pauses)
    return gateway


released: asyncio.Event


async def slow() -> str:
    await released.wait()
    return "done"


async def thinks(chat: Chat) -> None:
    await chat.say("One moment…")
    await chat.thinking(2.5)
    await chat.say(await chat.step(slow))
    await chat.receive()
    await chat.say("again")


async def test_a_long_turn_shows_typing_and_thinking_and_a_quick_one_nothing(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    global released
    released = asyncio.Event()
    monkeypatch.setattr(indicators, "TYPING_AFTER", 0.2)
    monkeypatch.setattr(indicators, "TYPING_AGAIN", 0.2)
    play = scene(engine, thinks)
    gateway = indicating(play)
    await play.says("hi")
    working = asyncio.create_task(play.work())
    await until(lambda: gateway.kinds.count("typing") >= 2)
    released.set()
    await working
    kinds = gateway.kinds
    assert (kinds[0], kinds[-1]) == ("message", "message")
    assert set(kinds[1:-1]) == {"typing", "thinking"}
    assert gateway.requests[1][0] == "thinking" and gateway.requests[1][2] == {"seconds": 3}
    monkeypatch.setattr(indicators, "TYPING_AFTER", 60.0)
    await play.says("and")
    await play.work()
    assert gateway.kinds == [*kinds, "message"], "the thinking of an earlier turn is not shown again"
    assert gateway.texts == ["One moment…", "done", "again"]


async def test_what_the_user_wrote_is_shown_as_read_where_that_is_set_and_failing_is_no_error(
    engine: AsyncEngine,
) -> None:
    play = scene(engine, chooses, read_receipts=True)
    gateway = indicating(play)
    await play.says("hi")
    await play.work()
    await until(lambda: "read" in gateway.kinds)
    await play.says("more")
    await play.work()
    assert sorted(gateway.kinds) == ["message", "message", "read"]
    quiet = scene(engine, chooses)
    quiet.conversation = "ID-1"
    silent = indicating(quiet)
    await quiet.says("hi")
    await quiet.work()
    assert silent.kinds == ["message"]
