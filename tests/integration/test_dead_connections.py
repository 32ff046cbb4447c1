"""Connections to the database that die without a word: the network takes what is sent and brings nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.owned import owned
from app.database import engine as module
from app.database.engine import DUE_CHANNEL, WORKER, create_engine
from app.worker.hosted import is_outage
from app.worker.listener import listen
from tests.integration.scene import scene
from tests.integration.working import becomes


@dataclass
class Network:
    """Between the database and whoever connects to `url`."""

    url: str = ""
    known: set[asyncio.StreamWriter] = field(default_factory=set)
    dead: set[asyncio.StreamWriter] = field(default_factory=set)

    def dies(self) -> None:
        """For the connections that there are now."""
        self.dead |= self.known


def socket_in(folder: str) -> str:
    (found,) = Path(folder).glob(".s.PGSQL.*[0-9]")
    return str(found)


@asynccontextmanager
async def network(url: str) -> AsyncIterator[Network]:
    parts = urlsplit(url)
    socket = socket_in(parse_qs(parts.query)["host"][0])
    between = Network()

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, me: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if me not in between.dead:
                writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        between.known.add(writer)
        from_database, to_database = await asyncio.open_unix_connection(socket)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, to_database, writer))
                group.create_task(pump(from_database, writer, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            to_database.close()
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    between.url = f"postgresql://postgres@127.0.0.1:{listening.sockets[0].getsockname()[1]}{parts.path}"
    try:
        yield between
    finally:
        listening.close()
        for writer in between.known:
            writer.transport.abort()


async def bot(chat: Chat) -> None:
    await chat.say("hi")


@pytest.mark.parametrize("directly", [True, False])
async def test_a_transaction_on_a_dead_connection_fails_and_the_next_has_another(
    database_url: str, directly: bool
) -> None:
    async with network(database_url) as between:
        limits = replace(WORKER, statement=0.5, answer=0.7)
        engine = create_engine(between.url, limits, application="test")
        play = scene(engine, bot)
        await play.says("hello")
        state = await play.claim()
        assert state is not None

        async def once() -> None:
            if directly:
                async with owned(engine, state):
                    pass
            else:
                async with engine.begin() as connection:
                    await connection.execute(text("SELECT 1"))

        await asyncio.gather(once(), once())
        between.dies()
        with pytest.raises(Exception) as failed:
            async with asyncio.timeout(10) as longest:
                await once()
        assert not longest.expired()
        assert is_outage(failed.value)
        for _ in range(3):  # at the worst each of the pool has to be found out
            try:
                await once()
                break
            except OSError:
                pass
        await once()
        await engine.dispose()


async def test_a_listener_finds_out_that_its_connection_is_dead(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(module, "LOOK_WITHIN", 0.3)
    told: list[int] = []

    async def hears() -> bool:
        told.clear()
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_notify(:channel, '7')"), {"channel": DUE_CHANNEL})
        await asyncio.sleep(0.05)
        return told == [7]

    async with network(database_url) as between:
        listening = asyncio.create_task(listen(between.url, told.extend))
        await becomes(hears, True)
        between.dies()
        assert not await hears()
        await becomes(hears, True, within=10)
        listening.cancel()
