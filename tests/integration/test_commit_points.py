"""A crash at every commit point: before each transaction commits, and right after, for a whole conversation.

However a run was cut, another worker takes over and the end must be the same: each input handled once, each
reply there once, in order. Claims count as well as what a turn, a delivery or a reading writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from tests.integration.crashing import CrashingEngine, Point, crashing, empty, points, settled
from tests.integration.scene import Scene, scene
from tests.integration.test_handovers import QUEUED, SETTINGS, agent_says, member

pytestmark = pytest.mark.timeout(300)  # a story is told some 40 times

runs: list[str] = []


async def look_up(word: str) -> str:
    runs.append(word)
    return word.upper()


async def talks(chat: Chat) -> None:
    await chat.say("Hello.")
    word = await chat.ask("Say a word.")
    await chat.say("One moment…")
    chat.session["words"] = chat.session.get("words", 0) + 1
    found = await chat.step(look_up, word)
    await chat.say(f"{found}, word {chat.session['words']}.")
    try:
        await chat.receive(timeout=60)
    except TimeoutError:
        await chat.say("You are silent.")


async def goes_over(chat: Chat) -> None:
    await chat.say("One moment…")
    outcome = await chat.handover()
    await chat.say(f"{outcome.status}, {len(outcome.messages)} messages.")


Story = Callable[[Scene], Awaitable[None]]


async def the_talk(play: Scene) -> None:
    """A dialog with a step and a timer."""
    await play.says("hi")
    await settled(play)
    await play.echo("Hello.")
    await play.says("word")
    await settled(play)
    await settled(play, 61)


async def the_handover(play: Scene) -> None:
    """A handover from asking to its end."""
    await play.says("hi")
    await settled(play)
    for event in (QUEUED, member("joined"), agent_says("I am here")):
        await post(play, event)
    await settled(play)
    await play.says("hello agent")
    await post(play, member("left"))
    await settled(play)
    await settled(play, 4)


async def post(play: Scene, event: dict[str, Any]) -> None:
    await play.post({"conversationId": play.conversation, "data": {}, **event})


async def played(
    engine: AsyncEngine, bot: Any, story: Story, point: Point | None
) -> tuple[Scene, CrashingEngine]:
    await empty(engine)
    runs.clear()
    play = scene(engine, bot, handover=SETTINGS)
    with crashing(play, point) as counting:
        await story(play)
    return play, counting


async def the_end(play: Scene) -> dict[str, Any]:
    """What must not depend on crashes."""
    return {
        "there": play.gateway.texts,
        "assignments": list(requests(play)),
        "deliveries": await play.statuses(),
        "events": [tuple(row) for row in await play.rows("SELECT outcome FROM event ORDER BY id")],
        "transcript": [tuple(row) for row in await play.rows("SELECT author, text FROM message ORDER BY id")],
        "journal": [
            tuple(row)
            for row in await play.rows(
                "SELECT position, kind, name FROM journal ORDER BY dialog_id, position"
            )
        ],
        "dialogs": [row[0] for row in await play.rows("SELECT status FROM dialog ORDER BY id")],
        "sessions": [
            tuple(row) for row in await play.rows("SELECT number, data::text FROM session ORDER BY id")
        ],
        "handovers": [tuple(row) for row in await play.rows("SELECT status, transfers FROM handover")],
        "unhandled": await play.value("SELECT count(*) FROM event WHERE processed_at IS NULL"),
        "incidents": await play.value("SELECT count(*) FROM incident"),
    }


async def check_every_point(engine: AsyncEngine, bot: Any, story: Story, *, incidents: int = 0) -> int:
    whole, counting = await played(engine, bot, story, None)
    wanted = await the_end(whole)
    assert wanted["unhandled"] == 0 and wanted["incidents"] == incidents
    asked = requests(whole)
    for point in points(counting.count):
        play, _ = await played(engine, bot, story, point)
        assert await the_end(play) == wanted, f"{point} of {counting.count}"
        doubled = requests(play) - asked
        assert sum(doubled.values()) <= 1 + (point.again is not None), f"{point}: {doubled}"
    return counting.count


def requests(play: Scene) -> Counter[str]:
    """How often 8x8 was asked for each thing, in order, messages aside: they are held against what arrived.

    It may be asked twice after a crash, which it doesn't mind.
    """
    asked = (each for each in play.gateway.requests if each[0] != "message")
    return Counter(json.dumps(each, sort_keys=True) for each in asked)


async def test_a_dialog_with_a_step_and_a_timer(engine: AsyncEngine) -> None:
    points = await check_every_point(engine, talks, the_talk)
    assert points >= 10
    assert len(runs) >= 1


async def test_a_handover(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, goes_over, the_handover) >= 10
