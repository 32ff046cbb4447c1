"""Conversations that were locked are forgotten after a while."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from app.receiver.inbox import Arrival, Stored, Unavailable
from app.receiver.lanes import Lanes
from app.receiver.pending import Pending


def pending(conversation: str) -> Pending:
    arrival = Arrival(
        endpoint="support",
        event_id=f"event of {conversation}",
        external_id=conversation,
        type="MESSAGE",
        body=b"{}",
        body_sha256=b"",
        payload="{}",
        sent_at=datetime.now(UTC),
        retry=0,
    )
    return Pending(arrival, asyncio.get_running_loop().time() + 10)


async def test_what_was_locked_once_is_not_remembered_for_ever() -> None:
    async def locked(arrival: Arrival) -> Stored:
        raise asyncpg.LockNotAvailableError

    lanes = Lanes(locked, apart=0.05)
    for number in range(50):
        one = pending(f"c-{number}")
        lanes.add(one)
        with pytest.raises(Unavailable):
            await one.done
    await lanes.aclose()
    assert lanes.claims(pending("c-49").arrival)
    await asyncio.sleep(0.06)
    last = pending("last")
    lanes.add(last)
    with pytest.raises(Unavailable):
        await last.done
    await lanes.aclose()
    assert list(lanes._apart) == [("support", "last")]
