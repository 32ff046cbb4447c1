"""A real HTTP server on this machine that gives files and says what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Served:
    """A server that answers with `answers` by path, and what it was asked."""

    port: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    turns: dict[str, list[bytes]] = field(default_factory=dict)
    """What comes first, one answer a request."""
    before: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head)
        path = head.split(" ")[1]
        if path in self.before:
            await self.before[path]()
        answers = self.turns.get(path)
        writer.write(answers.pop(0) if answers else self.answers[path])
        await writer.drain()
        writer.close()

    def url(self, path: str, host: str = "files.intern") -> str:
        return f"http://{host}:{self.port}{path}"

    def gives(self, path: str, content: bytes, *headers: str) -> None:
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *headers, "", ""]
        self.answers[path] = "\r\n".join(lines).encode() + content

    def says(self, path: str, status: int, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", "Content-Length: 0", *headers, "", ""]
        self.answers[path] = "\r\n".join(lines).encode()


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served
