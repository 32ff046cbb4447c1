"""The naive way, as the ratio's base: a flow run for each event.

It has the same receiver, database and gateway client, and is told of events by the same notification. Each
event becomes a flow run that is awaited in the worker: read the event, ask the bot, send, mark it done.
No journal, no retries, no fencing, no order of deliveries: less than Parley does, not more.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress

import asyncpg

from app.bots import load_bot
from app.commands.common import read_endpoints_file, read_settings
from app.endpoints import Endpoint
from app.gateway.client import GatewayClient
from app.prefect_environment import prefect_environment
from app.testing import converse
from app.worker.listener import listen

#: Flow runs at a time.
AT_ONCE = 8

_WAITING = "SELECT id FROM event WHERE processed_at IS NULL AND NOT (id = ANY($1)) ORDER BY at, id LIMIT 100"
_EVENT = """
SELECT e.payload::text AS payload, c.endpoint, c.external_id
FROM event e JOIN conversation c ON c.id = e.conversation_id WHERE e.id = $1
"""
_DONE = "UPDATE event SET processed_at = now(), outcome = 'input' WHERE id = $1"


class NaiveWorker:
    """Answers each event in a flow run."""

    def __init__(self, endpoints: dict[str, Endpoint], pool: asyncpg.Pool[asyncpg.Record]) -> None:
        from prefect import flow  # its settings are in the environment by now

        self._endpoints = endpoints
        self._pool = pool
        self._gateway = GatewayClient()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._look = asyncio.Event()
        self._taken: dict[int, asyncio.Task[None]] = {}
        self._flow = flow(name="event")(self._answer)

    def told(self, _: list[int]) -> None:
        """Something is due."""
        self._look.set()

    async def run(self) -> None:
        """Answer for ever; a look every second finds what no notification told of."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), 1.0)
            self._look.clear()
            for row in await self._pool.fetch(_WAITING, list(self._taken)):
                self._taken[row["id"]] = asyncio.create_task(self._handle(row["id"]))

    async def _handle(self, event: int) -> None:
        try:
            async with self._slots:
                await self._flow(event)
        finally:
            del self._taken[event]

    async def _answer(self, event: int) -> None:
        row = await self._pool.fetchrow(_EVENT, event)
        assert row is not None
        data = json.loads(row["payload"])["data"]
        if not data.get("isEcho"):
            endpoint = self._endpoints[row["endpoint"]]
            for reply in converse(load_bot(endpoint.flow)).says(data["text"]):
                body = {"authorType": "bot", "text": reply.text}
                await self._gateway.send(endpoint, row["external_id"], body)
        await self._pool.execute(_DONE, event)


async def main() -> None:
    """Work until killed."""
    settings = read_settings()
    endpoints = read_endpoints_file(settings).by_name()
    url = settings.database_url
    assert url is not None
    async with asyncpg.create_pool(url, min_size=1, max_size=AT_ONCE) as pool:
        worker = NaiveWorker(endpoints, pool)
        listening = asyncio.create_task(listen(url, worker.told))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.gather(worker.run(), listening)


if __name__ == "__main__":
    os.environ.update(prefect_environment(read_settings()))
    asyncio.run(main())
