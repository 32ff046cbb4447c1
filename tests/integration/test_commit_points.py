"""A crash at every commit point: before each transaction commits, and right after, for a whole conversation.

The points are found by counting at the seam between code and database; the product knows nothing of it.
However a run was cut, another worker takes over and the end must be the same: each input handled once, each
reply there once, in order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.bot import Chat
from app.conversation import owned
from app.database.direct import Direct, transaction
from tests.integration.scene import Scene, scene
from tests.integration.test_handovers import QUEUED, SETTINGS, agent_says, member

Begun = TypeVar("Begun")


class Crash(BaseException):
    """The process ends here."""


class CrashingEngine:
    """An engine whose n-th transaction is the process's last: it commits (`after`) or doesn't."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.count = 0
        self.target: int | None = None
        self.after = False

    def connect(self) -> Any:
        """Reading needs no commit."""
        return self.engine.connect()

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction, perhaps the last one."""
        return self.perhaps_the_last(self.engine.begin())

    def begin_directly(self) -> AbstractAsyncContextManager[Direct]:
        """The same for what is said to the driver itself."""
        return self.perhaps_the_last(transaction(self.engine))

    @asynccontextmanager
    async def perhaps_the_last(self, begun: AbstractAsyncContextManager[Begun]) -> AsyncIterator[Begun]:
        """Crash in it, or after it, if its number is the target."""
        self.count += 1
        last = self.count == self.target
        async with begun as connection:
            yield connection
            if last and not self.after:
                raise Crash
        if last:
            raise Crash


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


async def worked(play: Scene, seconds: float = 0) -> bool:
    """Work on what is due then; false where the worker crashed. The next one finds its lease over."""
    try:
        await play.later(seconds)
    except Crash:
        play.worker = 0
        async with play.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE worker SET alive_until = now()")
        return False
    return True


async def settled(play: Scene, seconds: float = 0) -> None:
    """Work, and after a crash work again as another worker, until nothing is due for a while."""
    open_deliveries = "SELECT count(*) FROM delivery WHERE status IN ('waiting', 'sending', 'in_doubt')"
    play.clock.forward(seconds)
    for number in range(12):
        if await worked(play, 3 if number else 0) and await play.value(open_deliveries) == 0:
            return


async def played(
    engine: AsyncEngine, bot: Any, story: Story, target: int | None, after: bool
) -> tuple[Scene, int]:
    async with engine.begin() as connection:
        tables = "contact, conversation, event, worker, incident, endpoint_state, session_run"
        await connection.exec_driver_sql(f"TRUNCATE {tables} CASCADE")
    crashing = CrashingEngine(engine)
    play = scene(engine, bot, handover=SETTINGS)
    play.services.engine = cast(AsyncEngine, crashing)
    crashing.target, crashing.after = target, after
    runs.clear()
    with pytest.MonkeyPatch.context() as seam:  # the transactions of an owned conversation count too
        seam.setattr(owned, "transaction", CrashingEngine.begin_directly)
        await story(play)
    return play, crashing.count


async def the_end(play: Scene) -> dict[str, Any]:
    """What must not depend on crashes."""
    return {
        "there": play.gateway.texts,
        "assignments": [request for request in play.gateway.requests if request[0] != "message"][:1],
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
    whole, points = await played(engine, bot, story, None, False)
    wanted = await the_end(whole)
    assert wanted["unhandled"] == 0 and wanted["incidents"] == incidents
    for point in range(1, points + 1):
        for after in (False, True):
            play, _ = await played(engine, bot, story, point, after)
            got = await the_end(play)
            assert got == wanted, f"a crash {'after' if after else 'before'} commit {point} of {points}"
    return points


async def test_a_dialog_with_a_step_and_a_timer(engine: AsyncEngine) -> None:
    points = await check_every_point(engine, talks, the_talk)
    assert points >= 10
    assert len(runs) >= 1


async def test_a_handover(engine: AsyncEngine) -> None:
    assert await check_every_point(engine, goes_over, the_handover) >= 10
