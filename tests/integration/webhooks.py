"""A receiver on real ports over a real database, and 8x8's side of it: keys, signatures, a key service."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import asyncpg
import httpx

from app.database.engine import connect
from app.endpoints import Endpoints
from app.receiver.main import Ports, serving
from app.sandbox.keys import SigningKey
from app.sandbox.signature import Stamp, signed_headers
from app.settings import Settings
from app.tls import certificates

TOKEN = "t" * 20
TENANT = "acme01"
KEY = SigningKey.generate()


@dataclass
class KeyService:
    """Serves KEY's public half. `faults` holds statuses that are answered first, instead."""

    url: str = ""
    faults: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
        self.asked.append(path)
        status, body = (200, json.dumps(KEY.jwk()).encode()) if f"/{KEY.kid}/" in path else (404, b"")
        if self.faults:
            status, body = self.faults.pop(0), b""
        writer.write(
            f"HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )
        writer.close()


def event(kind: str = "MESSAGE", conversation: str | None = "conv-1", **data: Any) -> bytes:
    """A webhook body; for MESSAGE the fields of a user's message unless told."""
    content: dict[str, Any] = {"eventType": kind, "timestamp": int(time.time() * 1000)}
    if conversation is not None:
        content["conversationId"] = conversation
    if kind == "MESSAGE":
        data = {"isEcho": False, "sender": {"id": "u", "type": "user"}, "text": "hello"} | data
    if data:
        content["data"] = data
    return json.dumps(content).encode()


@dataclass
class Scene:
    """Plays 8x8 towards the receiver and looks into the database."""

    ports: Ports
    client: httpx.AsyncClient
    database_url: str
    database: asyncpg.Connection[asyncpg.Record]
    keys: KeyService
    numbers: Any = field(default_factory=lambda: count(1))

    def headers(
        self,
        body: bytes,
        *,
        event_id: str | None = None,
        tenant: str = TENANT,
        key: SigningKey = KEY,
        at: float | None = None,
        retry: int = 0,
    ) -> dict[str, str]:
        """Headers as 8x8 signs them; `at` is in seconds since 1970."""
        stamp = Stamp(
            tenant=tenant,
            customer="customer",
            event_id=event_id or f"event-{next(self.numbers)}",
            retry=retry,
            transmission_time=int((time.time() if at is None else at) * 1000),
        )
        return signed_headers(key, stamp, body)

    async def post(
        self, body: bytes, headers: dict[str, str] | None = None, *, token: str = TOKEN, **signing: Any
    ) -> httpx.Response:
        """Post a signed event, or with these headers exactly."""
        return await self.client.post(
            f"/8x8/{token}",
            content=body,
            headers=self.headers(body, **signing) if headers is None else headers,
        )

    async def admin(self, path: str) -> httpx.Response:
        """Ask the operators' side."""
        return await self.client.get(f"http://127.0.0.1:{self.ports.admin}{path}")

    async def value(self, query: str, *arguments: Any) -> Any:
        """One value from the database."""
        return await self.database.fetchval(query, *arguments)

    async def row(self, query: str, *arguments: Any) -> dict[str, Any]:
        """One row from the database."""
        found = await self.database.fetchrow(query, *arguments)
        assert found is not None
        return dict(found)

    async def until(self, query: str, *arguments: Any, within: float = 5.0) -> None:
        """Wait until a query's value is true."""
        async with asyncio.timeout(within):
            while not await self.value(query, *arguments):  # noqa: ASYNC110 - the database tells no one
                await asyncio.sleep(0.01)


@asynccontextmanager
async def receiving(
    database_url: str, *, tenant: str | None = TENANT, freshness: float = 600, **endpoint: Any
) -> AsyncIterator[Scene]:
    """A receiver with one endpoint, whose settings may be overridden."""
    keys = KeyService()
    server = await asyncio.start_server(keys.serve, "127.0.0.1", 0)
    keys.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = Settings(port=0, admin_port=0, freshness=freshness)
    endpoints = Endpoints.model_validate(
        {
            "endpoints": [
                {
                    "name": "support",
                    "token": TOKEN,
                    "flow": "flows.bots.echo:echo",
                    "eightxeight": {"base_url": keys.url, "api_key": "k" * 16, "tenant": tenant},
                }
                | endpoint
            ]
        }
    )
    database = await connect(database_url, application="test")
    try:
        async with AsyncExitStack() as stack:
            ports = await stack.enter_async_context(serving(settings, endpoints, database_url=database_url))
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{ports.public}", verify=certificates(), timeout=10
                )
            )
            yield Scene(ports, client, database_url, database, keys)
    finally:
        server.close()
        await database.close()
