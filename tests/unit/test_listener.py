"""A worker listens again after a connection that broke, and not in a rush."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app.worker import listener


class Recovering:
    """A connection to a server that recovers: it refuses to listen."""

    def __init__(self) -> None:
        self.ended = False

    def add_termination_listener(self, told: object) -> None:
        """It has not ended."""

    async def add_listener(self, channel: str, told: object) -> None:
        raise asyncpg.ReadOnlySQLTransactionError("cannot execute LISTEN during recovery")

    def terminate(self) -> None:
        self.ended = True


async def test_a_server_that_takes_connections_and_does_not_listen_is_asked_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Recovering] = []

    async def connect(url: str, application: str) -> Recovering:
        made.append(Recovering())
        return made[-1]

    monkeypatch.setattr(listener, "connect", connect)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await listener.listen("postgresql://nowhere", lambda ids: None)
    assert 2 <= len(made) <= 5
    assert all(connection.ended for connection in made)
