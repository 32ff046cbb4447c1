"""One HTTP/1.1 connection with one request under way at a time, parsed by httptools.

It takes a tenth of httpcore's CPU for a request over a kept connection (docs/performance.md), and does what
requests of a few kilobytes to one known server need: no redirects, no proxies, no cookies, no streaming.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import httptools


class NotBegun(Exception):
    """Nothing of the request was sent."""


class ConnectError(NotBegun):
    """There is no connection: refused, unknown host, or TLS that fails."""


class ConnectTimeout(NotBegun):
    """Connecting took too long."""


class PoolTimeout(NotBegun):
    """All connections were in use for too long."""


class TooLate(NotBegun):
    """It may not be begun any more."""


class LocalProtocolError(NotBegun):
    """The request itself can't be put into HTTP."""


class Lost(Exception):
    """The request was sent, perhaps in part; what became of it is not known."""


class ReadError(Lost):
    """The connection failed before the answer."""


class RemoteProtocolError(Lost):
    """The other side closed without an answer, or answered with what isn't HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. `complete` is False when its body broke off or was too big."""

    status: int
    retry_after: str | None
    body: bytes
    complete: bool


class Connection(asyncio.Protocol):
    """Made by `loop.create_connection`."""

    def __init__(self) -> None:
        self.closed = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._limit = 0
        self._retry_after: str | None = None
        self._begin()

    async def request(self, data: bytes, limit: int) -> Answer:
        """Send a whole request; its answer, with at most `limit` bytes of body. Raises Lost.

        Given up meanwhile, it closes: an answer that came later would be taken for the next request's.
        """
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._limit = limit
        self._begin()
        self._transport.write(data)
        try:
            return await self._answer
        except BaseException:  # a cancellation too, which has ended `_answer` before it comes here
            self.abort()
            raise

    def close(self) -> None:
        """Close it."""
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once, whatever the other side does not take or answer."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._over:  # nothing was asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(RemoteProtocolError(type(error).__name__))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._over:
            return
        if self._in_body:  # the status is known, and for a sent message it is enough
            self._end(complete=exc is None and not self._framed)
        else:
            self._fail(RemoteProtocolError() if exc is None else ReadError(type(exc).__name__))

    # the parser's side

    def on_message_begin(self) -> None:
        if self._over:  # more than was asked for
            self.close()
        self._in_body = self._framed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"retry-after":
                self._retry_after = value.decode("latin-1")
            case b"content-length" | b"transfer-encoding":
                self._framed = True

    def on_headers_complete(self) -> None:
        self._in_body = self._parser.get_status_code() >= 200

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            self._end(complete=False)
            self.close()
        else:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if not self._in_body or self._over:  # "100 Continue" and its like: the answer is still to come
            return
        self._end(complete=True)
        if not self._parser.should_keep_alive():
            self.close()

    # what has come of the answer so far

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._retry_after = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._in_body = self._framed = False

    @property
    def _over(self) -> bool:
        return self._answer is None or self._answer.done()

    def _end(self, *, complete: bool) -> None:
        if self._answer is not None and not self._answer.done():
            status = self._parser.get_status_code()
            self._answer.set_result(Answer(status, self._retry_after, b"".join(self._chunks), complete))

    def _fail(self, error: Lost) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
