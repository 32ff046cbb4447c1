"""Crashes around the turns: sessions that the clock ends, replies refused, bots that fail, files received."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.lapse import end_lapsed
from app.endpoints import Endpoint
from app.gateway.outcome import Outcome, Refused
from tests.file_server import Served, serving
from tests.integration.crashing import Point, crashing, empty, points, settled, survived
from tests.integration.scene import Scene
from tests.integration.test_commit_points import (
    check_every_point,
    goes_over,
    played,
    talks,
    the_handover,
    the_talk,
)
from tests.integration.test_files_in import Files8x8, opened
from tests.integration.test_files_out import opened as with_files
from tests.integration.test_files_out import says_bytes

pytestmark = pytest.mark.timeout(300)

APP = Path(__file__).parents[2] / "app"


async def asks_twice(chat: Chat) -> None:
    chat.session["asked"] = chat.session.get("asked", 0) + 1
    await chat.say(f"Question {chat.session['asked']}.")
    first = await chat.receive()
    await chat.say(f"{first.text}, then?")
    second = await chat.receive()
    await chat.say(f"{second.text}.")


async def says_two(chat: Chat) -> None:
    await chat.say("one")
    await chat.say("two")


async def fails(chat: Chat) -> None:
    await chat.say("before")
    raise ValueError


async def comes_back_too_late(play: Scene) -> None:
    """A session is over when its user comes back."""
    await play.says("one")
    await settled(play)
    for minutes in (31, 32):
        await play.says(f"at {minutes}", received=play.clock() + timedelta(minutes=minutes))
        await settled(play)


async def is_ended_by_the_clock(play: Scene) -> None:
    """A session is ended though nobody comes back, until somebody does."""
    await play.says("one")
    await settled(play)
    await given_back(play)
    play.clock.forward(31 * 60)
    for _ in range(4):
        if await survived(play, lambda: end_lapsed(play.services)):
            break
    await play.says("two", received=play.clock())
    await settled(play)


async def given_back(play: Scene) -> None:
    """The worker closes the conversation, which is quiet."""
    async with play.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE conversation SET owner = NULL")


async def one_is_refused(play: Scene) -> None:
    """8x8 refuses the first of two replies, however often it is sent."""
    takes = play.gateway.send

    async def refuses(endpoint: Endpoint, talk: str, body: Mapping[str, Any], **more: Any) -> Outcome:
        refused = body.get("text") == "one"
        return Refused(400, "HTTP 400") if refused else await takes(endpoint, talk, body, **more)

    vars(play.gateway)["send"] = refuses
    await play.says("hi")
    await settled(play)


async def writes_twice(play: Scene) -> None:
    """A user writes again after the bot has failed."""
    for word in ("hi", "again"):
        await play.says(word)
        await settled(play)


async def test_a_user_who_comes_back_after_the_session(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, asks_twice, comes_back_too_late) >= 9


async def test_a_session_that_the_clock_ends(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, asks_twice, is_ended_by_the_clock) >= 6


async def test_a_reply_that_8x8_refuses(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, says_two, one_is_refused, incidents=1) >= 4


async def test_a_bot_that_fails(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, fails, writes_twice, incidents=2) >= 8


async def test_a_file_that_a_user_sends(engine: AsyncEngine, tmp_path: Path) -> None:
    async with serving() as server:
        whole, count = await a_picture_comes(engine, server, tmp_path / "whole", None)
        assert count >= 6
        for number, point in enumerate(points(count)):
            sent, _ = await a_picture_comes(engine, server, tmp_path / str(number), point)
            assert sent.play.gateway.texts == whole.play.gateway.texts, f"{point} of {count}"
            assert len(sent.objects()) == 1, f"{point} of {count}"
            assert (await sent.row()).state == "stored", f"{point} of {count}"


async def a_picture_comes(
    engine: AsyncEngine, server: Served, home: Path, point: Point | None
) -> tuple[Files8x8, int]:
    await empty(engine)
    sent = await opened(engine, server, home)
    with crashing(sent.play, point) as counting:
        await sent.sends_picture()
        await settled(sent.play)
    return sent, counting.count


async def test_every_place_that_writes_for_a_worker_is_in_one_of_these_stories(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    places = {
        str(file.relative_to(APP))
        for file in APP.rglob("*.py")
        if "owned(" in file.read_text() and file.name != "owned.py"
    }
    reached: set[str] = set()
    for bot, story in (
        (talks, the_talk),
        (goes_over, the_handover),
        (asks_twice, is_ended_by_the_clock),
        (says_two, one_is_refused),
    ):
        _, counting = await played(engine, bot, story, None)
        reached |= counting.reached
    _, counting = await played(engine, talks, the_talk, Point(3, after=True))  # a trial follows a crash
    reached |= counting.reached
    await empty(engine)
    play, _ = with_files(engine, says_bytes, tmp_path)
    with crashing(play) as counting:
        await play.says("hi")
        await settled(play)
    reached |= counting.reached
    async with serving() as server:
        await empty(engine)
        sent = await opened(engine, server, tmp_path)
        with crashing(sent.play) as counting:
            await sent.sends_picture()
            await settled(sent.play)
    reached |= counting.reached
    assert places <= reached, f"no story reaches {places - reached}"
