"""Which commits wait for the disk: all but those that are found and done again should they be lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation import at_once, owned
from app.database.direct import Direct, Driver, direct, transaction
from app.gateway.outcome import Retry
from tests.integration.scene import Scene, scene


async def greets(chat: Chat) -> None:
    await chat.say(f"Hello, {chat.message.text}.")


async def says_two_things(chat: Chat) -> None:
    await chat.say("One.")
    await chat.say("Two.")


@pytest.fixture
def waits_for_disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each transaction of an owned conversation: whether its commit waits for the disk."""
    seen: list[bool] = []

    @asynccontextmanager
    async def watched(engine: AsyncEngine) -> AsyncIterator[Direct]:
        async with transaction(engine) as database:
            yield database
            seen.append(not database.repeatable)

    @asynccontextmanager
    async def watched_statement(engine: AsyncEngine) -> AsyncIterator[Direct]:
        async with direct(engine) as database:
            driver = database.driver

            class Watched:
                async def fetchval(self, statement: str, *values: object) -> object:
                    found = await driver.fetchval(statement, *values)
                    if found is not None:  # else nothing was carried out
                        seen.append("'synchronous_commit', 'off', true" not in statement)
                    return found

            yield replace(database, driver=cast(Driver, Watched()))

    monkeypatch.setattr(owned, "transaction", watched)
    monkeypatch.setattr(at_once, "direct", watched_statement)
    return seen


async def test_a_turn_waits_for_the_disk_and_that_its_message_was_sent_does_not(
    engine: AsyncEngine, waits_for_disk: list[bool]
) -> None:
    play = scene(engine, greets)
    await play.says("Ann")
    await play.work()
    assert play.gateway.texts == ["Hello, Ann."]
    assert waits_for_disk[:2] == [True, False]


async def test_what_takes_the_next_message_waits_for_the_disk(
    engine: AsyncEngine, waits_for_disk: list[bool]
) -> None:
    play = scene(engine, says_two_things)
    await play.says("hi")
    await play.work()
    assert play.gateway.texts == ["One.", "Two."]
    assert waits_for_disk[:3] == [True, True, False]


async def test_a_failed_attempt_waits_for_the_disk(engine: AsyncEngine, waits_for_disk: list[bool]) -> None:
    play = scene(engine, greets)
    play.gateway.answers = [Retry(None, 503, "HTTP 503")]
    await play.says("Ann")
    await play.work()
    assert False not in waits_for_disk


async def test_an_echo_alone_does_not_wait_for_the_disk(
    engine: AsyncEngine, waits_for_disk: list[bool]
) -> None:
    play = await _greeted(engine)
    waits_for_disk.clear()
    await play.echo("Hello, Ann.")
    await play.work()
    assert waits_for_disk[0] is False
    assert await play.value("SELECT confirmed_by FROM delivery") == "echo"


async def test_an_echo_with_a_message_waits_for_the_disk(
    engine: AsyncEngine, waits_for_disk: list[bool]
) -> None:
    play = await _greeted(engine)
    waits_for_disk.clear()
    await play.echo("Hello, Ann.")
    await play.says("Bob")
    await play.work()
    assert waits_for_disk[0] is True


async def _greeted(engine: AsyncEngine) -> Scene:
    play = scene(engine, greets)
    await play.says("Ann")
    await play.work()
    return play
