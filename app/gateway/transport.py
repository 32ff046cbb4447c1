"""HTTP to Chat Gateways: pooled connections, bounded time and size, no redirects.

Errors tell whether the request had begun. Nothing of a request is ever logged.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.endpoints import Endpoint
from app.gateway.connection import Answer as Answer
from app.gateway.connection import (
    ConnectError,
    Connection,
    ConnectTimeout,
    LocalProtocolError,
    Lost,
    NotBegun,
    PoolTimeout,
    TooLate,
)
from app.tls import certificates

PREFIX = "/chat-gateway/v1"

#: The request never began: nothing was sent. What else goes wrong leaves it open.
NOT_BEGUN = (NotBegun,)
LOST = (Lost, TimeoutError)

JSON = b"application/json"

Header = tuple[bytes, bytes]

#: Asked right before a request is written; one that may not begin any more is TooLate.
MayBegin = Callable[[], bool]

#: Bytes that would end a line of a request.
_BREAKS = frozenset(b"\r\n\0")


def credentials(endpoint: Endpoint) -> dict[str, str]:
    """The headers by which an endpoint's gateway knows it; for nobody else."""
    settings = endpoint.eightxeight
    headers = {"x-api-key": settings.api_key.get_secret_value()}
    if settings.tenant is not None:
        headers["X-8x8-Tenant"] = settings.tenant
    return headers


@dataclass(frozen=True, slots=True)
class Target:
    """Where an endpoint's requests go and what each carries."""

    scheme: bytes
    host: bytes
    port: int
    path: str
    headers: tuple[Header, ...]

    @classmethod
    def of(cls, endpoint: Endpoint) -> Target:
        """The target of an endpoint, from its `eightxeight` settings."""
        settings = endpoint.eightxeight
        url = urlsplit(settings.base_url.rstrip("/"))
        host = url.hostname or ""
        headers = [
            (b"Host", url.netloc.rpartition("@")[2].encode()),
            (b"Accept", b"application/hal+json, application/json, application/problem+json"),
            (b"User-Agent", b"parley"),
            *((name.encode(), value.encode()) for name, value in credentials(endpoint).items()),
        ]
        return cls(
            url.scheme.encode(),
            host.encode("idna") if not host.isascii() else host.encode(),
            url.port or (443 if url.scheme == "https" else 80),
            url.path + PREFIX,
            tuple(headers),
        )


class Transport:
    """Connections to every gateway.

    A pool for each target, so that one that hangs holds up no other: all tenants are at one address, and
    `connections` requests of one that aren't answered would keep those of the others waiting.
    """

    def __init__(self, *, connections: int = 64, idle: float = 30.0) -> None:
        self._connections = connections
        self._idle = idle
        self._pools: dict[Target, _Pool] = {}

    async def request(
        self,
        target: Target,
        method: bytes,
        path: str,
        content: bytes | None,
        *,
        timeout: float,
        limit: int,
        kind: bytes = JSON,
        may_begin: MayBegin | None = None,
    ) -> Answer:
        """One request, `timeout` seconds in all, of whose answer `limit` bytes are read.

        `kind` is the media type of its content.

        Raises one of NOT_BEGUN (nothing was sent) or of LOST (perhaps something was). Waiting for a
        connection takes nine tenths of the time at most, so that a TimeoutError always means a begun request.
        """
        pool = self._pools.get(target)
        if pool is None:
            pool = self._pools[target] = _Pool(target, self._connections, self._idle)
        data = pool.message(method, path, content, kind)
        async with asyncio.timeout(timeout):
            return await pool.request(data, timeout, limit, may_begin)

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()


class _Pool:
    """Connections to one target, as many as requests are under way, up to `most`."""

    def __init__(self, target: Target, most: int, idle: float) -> None:
        self._target = target
        self._idle_for = idle
        self._turn = asyncio.Semaphore(most)
        self._idle: list[Connection] = []
        self._tls = certificates() if target.scheme == b"https" else None
        self._headers = b"".join(b"%s: %s\r\n" % header for header in target.headers)
        self._sound = not any(_BREAKS & set(value) for header in target.headers for value in header)

    def message(self, method: bytes, path: str, content: bytes | None, kind: bytes) -> bytes:
        """The bytes of a request. Raises LocalProtocolError."""
        place = (self._target.path + path).encode()
        if not self._sound or _BREAKS & set(place) or b" " in place:
            raise LocalProtocolError
        head = b"%s %s HTTP/1.1\r\n%s" % (method, place, self._headers)
        if content is None:
            return head + b"\r\n"
        return b"%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (head, kind, len(content), content)

    async def request(
        self, data: bytes, timeout: float, limit: int, may_begin: MayBegin | None = None
    ) -> Answer:
        """Send it over a connection that is free, or over a new one."""
        if self._turn.locked():
            await self._wait(timeout * 0.4)
        else:
            await self._turn.acquire()
        try:
            connection = self._take() or await self._connect(timeout * 0.5)
            if may_begin is not None and not may_begin():
                self._keep(connection)
                raise TooLate
            answer = await connection.request(data, limit)
            self._keep(connection)
            return answer
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connections that are free."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _keep(self, connection: Connection) -> None:
        """For the next request."""
        if not connection.closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)

    async def _wait(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._turn.acquire()
        except TimeoutError:
            raise PoolTimeout from None

    def _take(self) -> Connection | None:
        """The connection that was used last, unless it has been closed or was idle for too long."""
        oldest = asyncio.get_running_loop().time() - self._idle_for
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    async def _connect(self, within: float) -> Connection:
        target = self._target
        try:
            async with asyncio.timeout(within):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, target.host.decode(), target.port, ssl=self._tls
                )
        except TimeoutError:
            raise ConnectTimeout from None
        except (OSError, ssl.SSLError, UnicodeError) as error:
            raise ConnectError(type(error).__name__) from None
        return connection
