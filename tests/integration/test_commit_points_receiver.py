"""A receiver that ends before or after any of its commits: 8x8 sends again, and the end is the same."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.receiver import database
from app.receiver.pool import Connection, Pool
from tests.integration.crashing import empty
from tests.integration.webhooks import Scene, event, receiving

T = TypeVar("T")
Once = Callable[[Pool, Callable[[Connection], Awaitable[T]]], Awaitable[T]]

#: Three messages, a test of the connection, and the second message's id with another body.
BODIES = {
    "e1": event(text="one"),
    "e2": event(text="two"),
    "verify": event("WEB_HOOK_VERIFY"),
    "e3": event(text="three", conversation="conv-2"),
}
FORGED = event(text="forged")


@dataclass
class Dying:
    """Counts what the receiver does with the database; from the `point`-th on nothing comes through."""

    real: Once[object]
    point: int | None = None
    after: bool = False
    count: int = 0

    async def once(self, pool: Pool, work: Callable[[Connection], Awaitable[object]]) -> object:
        self.count += 1
        if self.point is None or self.count < self.point:
            return await self.real(pool, work)
        if self.count == self.point and self.after:
            await self.real(pool, work)  # committed, and nobody hears of it
        raise asyncpg.ConnectionDoesNotExistError


async def told(database_url: str, dying: Dying, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """8x8 sends everything once; the answers."""
    with monkeypatch.context() as seam:
        async with receiving(database_url, tenant=None) as scene:
            seam.setattr(database, "_once", dying.once)
            answers = [await answer(scene, body, name) for name, body in BODIES.items()]
            answers.append(await answer(scene, FORGED, "e2"))
            seam.setattr(database, "_once", dying.real)
    return answers


async def answer(scene: Scene, body: bytes, name: str, retry: int = 0) -> int:
    return (await scene.post(body, event_id=name, retry=retry)).status_code


async def test_whatever_commit_is_its_last_each_event_is_stored_once(
    database_url: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Dying(database._once)
    assert await told(database_url, whole, monkeypatch) == [200] * 5
    async with receiving(database_url, tenant=None) as scene:
        await check(scene)
    assert whole.count >= 6
    for point in range(1, whole.count + 1):
        for after in (False, True):
            await empty(engine)
            dying = Dying(whole.real, point, after)
            answers = await told(database_url, dying, monkeypatch)
            where = f"a crash {'after' if after else 'before'} commit {point} of {whole.count}"
            assert set(answers) <= {200, 503}, where
            assert answers[0] == (200 if point > 2 else 503), where
            async with receiving(database_url, tenant=None) as scene:
                for name, body in BODIES.items():
                    assert await answer(scene, body, name, retry=1) == 200, where
                assert await answer(scene, FORGED, "e2", retry=1) == 200, where
                await check(scene)


async def check(scene: Scene) -> None:
    """Everything is there once, in order; the forgery is an incident and nothing else."""
    rows = await scene.database.fetch("SELECT body FROM event ORDER BY conversation_id, at, id")
    assert [json.loads(row["body"])["data"]["text"] for row in rows] == ["one", "two", "three"]
    assert await scene.value("SELECT count(*) FROM conversation WHERE due_at IS NOT NULL") == 2
    assert await scene.value("SELECT array_agg(kind) FROM incident") == ["body_mismatch"]
    assert await scene.value("SELECT tenant FROM endpoint_state") == "acme01"
    assert await scene.value("SELECT verified_at IS NOT NULL FROM endpoint_state")
