"""A handover that comes to nothing: the user hears so, from the bot or, where none goes on, from Parley."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.modes import set_mode
from app.gateway.outcome import Refused
from tests.integration.scene import Scene, scene
from tests.integration.test_handovers import (
    QUEUED,
    SETTINGS,
    agent_says,
    hands_over,
    happens,
    member,
    prompts,
    status,
)

SORRY = {"on_error": {"message": "Sorry!"}}
REFUSED = Refused(400, "HTTP 400")


async def to_queue(engine: AsyncEngine, **handover: Any) -> Scene:
    """An endpoint whose users go to agents."""
    play = scene(engine, hands_over, handover={**SETTINGS, **handover}, **SORRY)
    await set_mode(engine, "support", "to_queue")
    await play.services.modes.refresh(engine)
    return play


async def test_who_was_sent_to_agents_by_ops_hears_that_8x8_refused(engine: AsyncEngine) -> None:
    play = await to_queue(engine)
    play.gateway.assignment_answers = [REFUSED]
    await play.says("hi")
    await play.work()
    assert await status(play) == "failed"
    assert play.gateway.texts == ["Sorry!"]


async def test_who_was_sent_to_agents_by_ops_hears_that_nobody_came(engine: AsyncEngine) -> None:
    play = await to_queue(engine, timeout=60)
    await play.says("hi")
    await happens(play, QUEUED)
    await play.later(61)
    assert await status(play) == "timed_out"
    assert play.gateway.texts == ["Connecting you…", "Sorry!"]
    assert [each[0] for each in play.gateway.requests][-2:] == ["assignment", "message"]


async def test_a_dialog_that_is_to_begin_anew_does_not_end_in_silence(engine: AsyncEngine) -> None:
    play = scene(engine, hands_over, handover={**SETTINGS, "flow_continuation": "restart"}, **SORRY)
    play.gateway.assignment_answers = [REFUSED]
    await play.says("a person please")
    await play.work()
    assert play.gateway.texts == ["One moment…", "Sorry!"]


async def test_after_an_error_of_the_bot_the_user_hears_once_that_something_went_wrong(
    engine: AsyncEngine,
) -> None:
    async def raises(chat: Chat) -> None:
        raise RuntimeError

    play = scene(engine, raises, on_error={"message": "Sorry!", "handover": "102"})
    play.gateway.assignment_answers = [REFUSED]
    await play.says("hi")
    await play.work()
    assert await status(play) == "failed"
    assert play.gateway.texts == ["Sorry!"]


async def test_a_user_whose_dialog_ended_in_a_handler_hears_that_nobody_came(engine: AsyncEngine) -> None:
    async def fails(chat: Chat) -> None:
        async def queued(chat: Chat) -> None:
            raise RuntimeError

        await chat.handover(on_queued=queued)

    play = scene(engine, fails, handover={**SETTINGS, "timeout": 60}, **SORRY)
    await play.says("hi")
    await play.work()
    await happens(play, QUEUED)
    assert play.gateway.texts == ["Connecting you…"]
    await play.later(61)
    assert play.gateway.texts == ["Connecting you…", "Sorry!"]


@pytest.mark.parametrize("end", ["completed", "cancelled"])
async def test_where_agents_helped_or_the_user_had_enough_nobody_says_sorry(
    engine: AsyncEngine, end: str
) -> None:
    play = await to_queue(engine)
    await play.says("hi")
    await happens(play, QUEUED)
    if end == "cancelled":
        await play.says("stop waiting")
        await play.work()
    else:
        await happens(play, member("joined"), member("left"))
        await play.later(4)
    assert await status(play) == end
    assert play.gateway.texts == ["Connecting you…"]


async def test_the_outcomes_messages_are_clean_after_a_restart_too(engine: AsyncEngine) -> None:
    async def tells(chat: Chat) -> None:
        outcome = await chat.handover("101")
        await chat.say(" | ".join(message.text for message in outcome.messages))

    play = scene(engine, tells, input_sanitization=True)
    await play.says("a person please")
    await play.work()
    await happens(play, QUEUED, member("joined"))
    await play.says("<b>my</b> order<script>alert(1)</script>")
    await play.work()
    await happens(play, agent_says("a < b"), member("left"))
    await play.later(4)
    assert play.gateway.texts[-1] == "<b>my</b> order | a < b"


# a bot that closes a handover


@pytest.mark.parametrize("back", [True, False])
async def test_an_agent_keeps_a_conversation_that_cannot_be_taken_back(
    engine: AsyncEngine, back: bool
) -> None:
    settings = {"queue": "101", "inactivity": 1}
    play = scene(engine, prompts, handover={**SETTINGS, **settings} if back else settings)
    await play.says("a person please")
    await play.work()
    await happens(play, QUEUED, member("joined"))
    await play.later(61)
    await play.later(61)
    kept = await play.value("SELECT count(*) FROM incident WHERE kind = 'handover_not_closed'")
    control = await play.value("SELECT control FROM conversation")
    assert (await status(play), control, kept) == (
        ("cancelled", "bot", 0) if back else ("active", "human", 1)
    )


async def test_a_bot_may_end_the_waiting_although_nothing_can_be_taken_back(engine: AsyncEngine) -> None:
    play = scene(engine, prompts, handover={"queue": "101", "inactivity": 1})
    await play.says("a person please")
    await play.work()
    await happens(play, QUEUED)
    await play.later(61)
    await play.later(61)
    assert await status(play) == "cancelled"
    assert play.gateway.texts[-1] == "cancelled: closed by the bot"
    await happens(play, member("joined"))  # who was still in 8x8's queue gets a human, and the bot is silent
    assert await play.value("SELECT control FROM conversation") == "human"


@pytest.mark.parametrize("back", [True, False])
async def test_an_agent_who_joins_after_nobody_came_in_time_takes_over_what_stayed_in_the_queue(
    engine: AsyncEngine, back: bool
) -> None:
    settings: dict[str, Any] = {"queue": "101", "timeout": 60}
    play = scene(engine, hands_over, handover={**SETTINGS, **settings} if back else settings)
    await play.says("a person please")
    await play.work()
    await happens(play, QUEUED)
    await play.later(61)
    assert await status(play) == "timed_out"
    await happens(play, member("joined"))
    control = await play.value("SELECT control FROM conversation")
    assert control == ("bot" if back else "human")
