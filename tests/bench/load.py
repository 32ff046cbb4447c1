"""A load generator that takes next to no CPU: requests are bytes made beforehand, answers are barely read.

Open loop: a request leaves when its time has come, whatever became of those before it. Times are
`time.time_ns()`, the clock that the sandbox stamps messages with too.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast


@dataclass(slots=True, eq=False)
class Shot:
    """One signed request: `data` is all of it. Times in ns since 1970, 0 until it happened."""

    data: bytes
    text: str = ""
    """The message's text, by which its reply is found."""
    sent_ns: int = 0
    acked_ns: int = 0
    status: int = 0

    @property
    def ack_ms(self) -> float:
        """From the request's first byte to the answer's."""
        return (self.acked_ns - self.sent_ns) / 1e6


class _Connection(asyncio.Protocol):
    """A kept-alive connection with at most one request under way."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._shot: Shot | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, shot: Shot) -> None:
        assert self._transport is not None
        self._shot = shot
        shot.sent_ns = time.time_ns()
        self._transport.write(shot.data)

    def data_received(self, data: bytes) -> None:
        shot = self._shot
        if shot is None:
            return
        if not shot.acked_ns:
            shot.acked_ns = time.time_ns()
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        shot.status = int(head[9:12])
        self._received, self._shot = b"", None
        self._pool.answered(self, shot)

    def connection_lost(self, exc: Exception | None) -> None:
        shot, self._shot = self._shot, None
        self._pool.lost(self, shot)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


class Pool:
    """Connections to the receiver; as many as are needed at once, up to `most`."""

    def __init__(self, port: int, *, most: int = 256) -> None:
        self._port = port
        self._most = most
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[Shot] = deque()
        self._open = 0
        self._under_way = 0
        self._changed = asyncio.Event()
        self._opening: set[asyncio.Task[None]] = set()
        self.broken = 0
        """Requests whose connection was lost before the answer."""

    async def warm(self, connections: int) -> None:
        """Open connections before the clock runs."""
        await asyncio.gather(*(self._connect() for _ in range(connections)))

    def send(self, shot: Shot) -> None:
        """Send a request now, or as soon as a connection is free."""
        self._under_way += 1
        if self._idle:
            self._idle.pop().send(shot)
            return
        self._waiting.append(shot)
        if self._open < self._most:
            task = asyncio.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def quiet(self, *, below: int = 1) -> None:
        """Return when fewer than `below` requests are under way."""
        while self._under_way >= below:
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()

    async def _connect(self) -> None:
        self._open += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        self._free(connection)

    def _free(self, connection: _Connection) -> None:
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def answered(self, connection: _Connection, shot: Shot) -> None:
        """A request has its answer."""
        self._under_way -= 1
        self._free(connection)
        self._changed.set()

    def lost(self, connection: _Connection, shot: Shot | None) -> None:
        """A connection is gone, with the request that was under way on it."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if shot is not None:
            self.broken += 1
            self._under_way -= 1
            self._changed.set()


async def at_rate(pool: Pool, shots: Sequence[Shot], rate: float) -> float:
    """Send evenly spaced, `rate` a second; wait for all answers. The worst delay of a request, in ms."""
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.05
    late = 0.0
    for number, shot in enumerate(shots):
        due = start + number / rate
        await asyncio.sleep(due - loop.time())
        late = max(late, loop.time() - due)
        pool.send(shot)
    await pool.quiet()
    return late * 1000


async def as_fast_as_possible(
    pool: Pool, shots: Sequence[Shot], *, at_once: int, seconds: float
) -> list[Shot]:
    """Keep `at_once` requests under way for so many seconds; those that were sent, all of them answered."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    sent: list[Shot] = []
    for shot in shots:
        await pool.quiet(below=at_once)
        if loop.time() >= end:
            break
        pool.send(shot)
        sent.append(shot)
    await pool.quiet()
    return sent
