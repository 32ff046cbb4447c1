"""POST over kept-alive connections, at a tenth of a general client's cost.

The sandbox takes part in benchmarks on the same two cores as what is measured. httpx takes about
1.6 ms of CPU for a request there (httpcore 1.1), at 300 webhooks a second half a core; this takes
about 0.15 ms. It does what a webhook needs and no more: no redirects, no cookies, no proxies.
"""

import asyncio
import ssl
from collections import defaultdict
from typing import cast
from urllib.parse import urlsplit

import httptools

MAX_IDLE = 2.0
"""Seconds after which an idle connection isn't used again: servers commonly close them after 5."""


class PostFailed(Exception):
    """No answer: the connection failed, was cut, or took too long."""


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[int] | None = None
        self.closed = False
        self.idle_since = 0.0
        self._parser: httptools.HttpResponseParser | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"broken answer: {type(error).__name__}")
            self.close()

    def on_message_complete(self) -> None:
        parser, self._parser = self._parser, None
        assert parser is not None
        status = int(parser.get_status_code())
        if not parser.should_keep_alive():
            self.close()
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._fail("connection closed before the answer")

    def _fail(self, reason: str) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(PostFailed(reason))

    def close(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.close()

    async def request(self, data: bytes) -> int:
        assert self.transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self.answer


class Poster:
    """A pool of connections by origin. Use within one event loop; `close` when done."""

    def __init__(self, idle_per_origin: int = 64) -> None:
        self._idle: dict[tuple[str, str, int], list[_Connection]] = defaultdict(list)
        self._idle_per_origin = idle_per_origin
        self._tls = ssl.create_default_context()

    async def post(self, url: str, headers: dict[str, str], body: bytes, timeout: float) -> int:
        """Send and return the status. Raises PostFailed; seconds of `timeout` cover the whole."""
        try:
            async with asyncio.timeout(timeout):
                return await self._post(url, headers, body)
        except TimeoutError:
            raise PostFailed(f"no answer within {timeout:g} s") from None
        except OSError as error:
            raise PostFailed(f"{type(error).__name__}: {error.strerror or error}") from error

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        origin = (parts.scheme, host, parts.port or (443 if parts.scheme == "https" else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = [f"POST {target} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        data = "\r\n".join([*head, "", ""]).encode("latin-1") + body
        connection = self._reuse(origin) or await self._open(origin)
        try:
            status = await connection.request(data)
        except BaseException:
            connection.close()
            raise
        idle = self._idle[origin]
        if not connection.closed:
            if len(idle) < self._idle_per_origin:
                connection.idle_since = asyncio.get_running_loop().time()
                idle.append(connection)
            else:
                connection.close()
        return status

    def _reuse(self, origin: tuple[str, str, int]) -> _Connection | None:
        idle = self._idle[origin]
        oldest = asyncio.get_running_loop().time() - MAX_IDLE
        while idle:
            connection = idle.pop()
            if not connection.closed and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    async def _open(self, origin: tuple[str, str, int]) -> _Connection:
        scheme, host, port = origin
        if scheme not in ("http", "https"):
            raise PostFailed(f"not an http address: {scheme}")
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            _Connection, host, port, ssl=self._tls if scheme == "https" else None
        )
        return connection

    def close(self) -> None:
        """Close the idle connections."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()
