"""Incidents told to a webhook that is a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.endpoints import Alerts
from app.worker.alerts import AlertSender

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
SECRET = "a-secret-of-24-characters"


@dataclass
class Receiver:
    """Keeps what it is posted; `statuses` are used up one a request, then everything is taken."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        status = self.statuses.pop(0) if self.statuses else 204
        writer.write(f"HTTP/1.1 {status} -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    @property
    def told(self) -> list[dict[str, Any]]:
        """The bodies."""
        return [json.loads(body) for _, body in self.requests]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    it = Receiver()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alerts"
    yield it
    server.close()


class Sender(AlertSender):
    """A sender with a clock of its own."""

    def __init__(self, engine: AsyncEngine, url: str, kinds: list[str] | None = None) -> None:
        self.ahead = timedelta()
        alerts = Alerts(webhook=url, secret=SecretStr(SECRET), kinds=kinds)
        super().__init__(engine, alerts, now=lambda: datetime.now(UTC) + self.ahead)

    async def later(self, seconds: float) -> int:
        """Send what is due after that time."""
        self.ahead += timedelta(seconds=seconds)
        return await self.send()


async def incident(engine: AsyncEngine, kind: str = "dead_letter", **columns: Any) -> None:
    values = {"kind": kind, "detail": json.dumps(columns)}
    statement = (
        "INSERT INTO incident (endpoint, kind, detail) VALUES ('support', :kind, CAST(:detail AS jsonb))"
    )
    async with engine.begin() as connection:
        await connection.execute(text(statement), values)


async def untold(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        query = text("SELECT count(*) FROM incident WHERE alerted_at IS NULL")
        return int((await connection.execute(query)).scalar_one())


def verified(headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    """As docs/operations.md tells a receiver to: its own code is run."""
    [source] = re.findall(r"^```python\n(.*?)^```", OPERATIONS.read_text(encoding="utf-8"), re.S | re.M)
    names: dict[str, Any] = {}
    exec(compile(source, str(OPERATIONS), "exec"), names)
    return bool(names["is_from_parley"](headers["x-parley-signature"], body, secret))


async def test_an_incident_is_told_once_and_its_signature_can_be_verified(
    engine: AsyncEngine, receiver: Receiver
) -> None:
    await incident(engine, delivery=7)
    sender = Sender(engine, receiver.url)
    assert await sender.send() == 1
    assert await sender.later(3600) == 0
    [(headers, body)] = receiver.requests
    assert verified(headers, body)
    assert not verified(headers, body + b" ")
    assert not verified(headers, body, "another-secret-of-24-chars")
    [told] = receiver.told
    assert (told["kind"], told["endpoint"], told["detail"]) == ("dead_letter", "support", {"delivery": 7})
    assert datetime.fromisoformat(told["at"]).tzinfo is not None
    assert await untold(engine) == 0
    await sender.aclose()


async def test_a_receiver_that_refuses_is_tried_again_with_growing_pauses(
    engine: AsyncEngine, receiver: Receiver
) -> None:
    receiver.statuses = [500, 503, 204]
    await incident(engine)
    sender = Sender(engine, receiver.url)
    assert await sender.send() == 0
    assert await sender.later(20) == 0 and len(receiver.requests) == 1
    assert await sender.later(11) == 0 and len(receiver.requests) == 2
    assert await sender.later(40) == 0 and len(receiver.requests) == 2
    assert await sender.later(30) == 1 and len(receiver.requests) == 3
    await sender.aclose()


async def test_one_that_is_refused_holds_up_no_other(engine: AsyncEngine, receiver: Receiver) -> None:
    for _ in range(12):
        await incident(engine)
    receiver.statuses = [400]
    sender = Sender(engine, receiver.url)
    assert await sender.send() == 11
    assert await untold(engine) == 1
    await sender.aclose()


async def test_nobody_there_costs_one_request_and_no_incident(
    engine: AsyncEngine, receiver: Receiver
) -> None:
    for _ in range(3):
        await incident(engine)
    sender = Sender(engine, "http://127.0.0.1:1/alerts")
    assert await sender.send() == 0
    assert await untold(engine) == 3
    await sender.aclose()
    after = Sender(engine, receiver.url)
    assert await after.later(31) == 3
    await after.aclose()


async def test_several_workers_tell_each_incident_once(engine: AsyncEngine, receiver: Receiver) -> None:
    for number in range(20):
        await incident(engine, number=number)
    senders = [Sender(engine, receiver.url) for _ in range(3)]
    counts = await asyncio.gather(*(sender.send() for sender in senders))
    assert sum(counts) == 20
    assert sorted(told["detail"]["number"] for told in receiver.told) == list(range(20))
    for sender in senders:
        await sender.aclose()


async def test_only_the_kinds_that_are_wanted_are_told(engine: AsyncEngine, receiver: Receiver) -> None:
    await incident(engine, "dead_air")
    await incident(engine, "diverged")
    sender = Sender(engine, receiver.url, kinds=["dead_air"])
    assert await sender.send() == 1
    assert [told["kind"] for told in receiver.told] == ["dead_air"]
    await sender.aclose()


async def test_what_happened_long_ago_is_no_news(engine: AsyncEngine, receiver: Receiver) -> None:
    await incident(engine)
    sender = Sender(engine, receiver.url)
    assert await sender.later(25 * 3600) == 0
    await sender.aclose()
