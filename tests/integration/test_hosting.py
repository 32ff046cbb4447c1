"""What a worker claims and gives back, and what becomes of it when the worker loses it or ends."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.gateway.outcome import Outcome
from app.worker import worker as module
from app.worker.claims import Claim
from app.worker.hosted import Hosted, HostSettings
from app.worker.runs import NoRuns
from tests.integration.scene import Scene, endpoint, scene
from tests.integration.working import becomes, many_say_hello, working

UNCLAIMED = "SELECT count(*) FROM conversation WHERE epoch = 0"
UNHANDLED = "SELECT count(*) FROM event WHERE processed_at IS NULL"
OWNED = "SELECT count(*) FROM conversation WHERE owner IS NOT NULL"


async def answers(chat: Chat) -> None:
    await chat.say(f"re {chat.message.text}")


def with_endpoints(play: Scene, many: int) -> list[str]:
    """So many more endpoints."""
    names = [f"other-{number}" for number in range(many)]
    for number, name in enumerate(names):
        more = endpoint(name=name, token=f"a-token-long-enough-{number}")
        play.services.endpoints = {**play.services.endpoints, name: more}
    return names


async def test_a_backlog_of_one_among_many_endpoints_is_claimed_without_a_pause(
    engine: AsyncEngine, database_url: str
) -> None:
    play = scene(engine, answers)
    with_endpoints(play, 9)
    await many_say_hello(play, 200)
    async with working(play, database_url):
        await becomes(partial(play.value, UNCLAIMED), 0, within=15)


async def test_what_nobody_told_of_is_found_at_the_start_and_when_listening_begins_again(
    engine: AsyncEngine, database_url: str
) -> None:
    play = scene(engine, answers)
    [other] = with_endpoints(play, 1)
    await many_say_hello(play, 3)
    async with working(play, database_url, sweep=300):
        await becomes(partial(play.value, UNHANDLED), 0)
        await many_say_hello(play, 3, endpoint=other)
        await play.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'parley listen' AND datname = current_database()"
        )
        await becomes(partial(play.value, UNHANDLED), 0)


async def test_more_endpoints_than_places_get_them_in_turn(engine: AsyncEngine, database_url: str) -> None:
    play = scene(engine, answers)
    for name in with_endpoints(play, 30):
        await many_say_hello(play, 1, endpoint=name)
    most = 0

    async def send(*arguments: Any, **named: Any) -> Outcome:
        nonlocal most
        most = max(most, worker.open_conversations)
        return await accept(*arguments, **named)

    accept, play.gateway.send = play.gateway.send, send  # type: ignore[method-assign]
    async with working(play, database_url, max_sessions=5, linger=0.1) as worker:
        await becomes(partial(play.value, UNHANDLED), 0)
    assert 0 < most <= 5


async def test_what_was_lost_during_a_turn_is_claimed_again_after_it(
    engine: AsyncEngine, database_url: str
) -> None:
    let_go = asyncio.Event()

    async def bot(chat: Chat) -> None:
        if chat.message.text == "slow":
            await chat.step(let_go.wait)
        await chat.say(f"re {chat.message.text}")

    play = scene(engine, bot)
    await play.says("slow")
    async with working(play, database_url) as worker:
        await becomes(partial(play.value, "SELECT count(*) FROM dialog WHERE status = 'running'"), 1)
        async with engine.begin() as connection:  # another worker took it over and gave it back
            await connection.execute(
                text("UPDATE conversation SET epoch = epoch + 1, owner = NULL, due_at = NULL")
            )
            await connection.execute(text("UPDATE event SET processed_at = now()"))
            await connection.execute(text("UPDATE dialog SET status = 'closed', ended_at = now()"))
        await play.says("quick")
        worker._look.set()
        await becomes(looked(worker), True)
        assert await play.value("SELECT epoch FROM conversation") == 2
        let_go.set()
        await becomes(partial(play.value, UNHANDLED), 0)
        await becomes(texts(play), ["re quick"])
        assert await play.value("SELECT epoch FROM conversation") == 3
        assert len(worker._hosted) == len(worker._tasks) == 1
    assert await play.value(OWNED) == 0


def looked(worker: module.Worker) -> Any:
    async def has() -> bool:
        return not worker._look.is_set()

    return has


def texts(play: Scene) -> Any:
    async def said() -> list[str]:
        return play.gateway.texts

    return said


async def test_a_worker_that_was_taken_for_dead_reads_everything_again(
    engine: AsyncEngine, database_url: str
) -> None:
    play = scene(engine, answers)
    await play.says("one")
    async with working(play, database_url, lease=0.6, linger=600.0) as worker:
        await becomes(texts(play), ["re one"])
        assert worker.open_conversations == 1
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE worker SET alive_until = now() - interval '1 second'"))
        await becomes(partial(play.value, OWNED), 0)
        await play.says("two")
        await becomes(texts(play), ["re one", "re two"])


async def test_who_has_lost_it_meanwhile_closes_no_runs(engine: AsyncEngine) -> None:
    play = scene(engine, answers)
    await play.says("one")
    await play.work()
    state = play.state
    assert state is not None
    async with engine.begin() as connection:
        await connection.execute(
            text(
                """
                INSERT INTO session_run
                    (session_id, conversation_id, worker_id, number, flow_run_id, name, opened_at)
                SELECT id, conversation_id, :worker, 1, gen_random_uuid(), 'x', now() FROM session
                """
            ),
            {"worker": play.worker},
        )
    stale = Claim(state.id, "support", state.epoch - 1, take_over=True)
    settings = HostSettings(linger=0.1, run_wait=0.1)
    await Hosted(play.services, play.worker, stale, NoRuns(), settings).live()
    assert await play.value("SELECT count(*) FROM session_run WHERE ended_at IS NULL") == 1


async def test_a_stop_in_a_long_step_is_no_death_of_the_conversation(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURNS_WITHIN", 0.1)
    begun = 0

    async def slow() -> int:
        nonlocal begun
        begun += 1
        if begun <= 4:
            await asyncio.Event().wait()
        return begun

    async def bot(chat: Chat) -> None:
        await chat.say("One moment…")
        await chat.step(slow)
        await chat.say("There")

    play = scene(engine, bot)
    await play.says("hello")

    async def so_far() -> int:
        return begun

    for stop in range(1, 5):
        async with working(play, database_url, sweep=0.1):
            await becomes(so_far, stop)
        (row,) = await play.rows("SELECT owner, deaths, due_at <= now() AS due FROM conversation")
        assert (row.owner, row.deaths, row.due) == (None, 0, True)
    async with working(play, database_url, sweep=0.1):
        await becomes(texts(play), ["One moment…", "There"])


class Asked(NoRuns):
    """Notes how many seconds it was given to end."""

    within = 0.0

    async def stop(self, within: float) -> None:
        self.within = within


async def test_runs_get_the_time_that_turns_left(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, runs = scene(engine, answers), Asked()
    async with working(play, database_url, runs):
        pass
    assert runs.within == module.RUNS_AT_MOST
    monkeypatch.setattr(module, "TURNS_WITHIN", 0.0)
    async with working(play, database_url, runs):
        pass
    assert runs.within == module.RUNS_WITHIN
