"""Ids fetched by the block, so that rows which name each other are written without asking back."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_NEXT = text("SELECT nextval(CAST(:sequence AS regclass)) FROM generate_series(1, :size)")


class Ids:
    """Ids of one table's sequence. What is left of a block when the process ends is never used."""

    def __init__(self, engine: AsyncEngine, sequence: str, *, block: int = 100) -> None:
        self._engine = engine
        self._sequence = sequence
        self._block = block
        self._ready: deque[int] = deque()
        self._fetching = asyncio.Lock()

    async def reserve(self, count: int) -> None:
        """Return when `count` ids can be taken without waiting."""
        while len(self._ready) < count:
            async with self._fetching:
                if len(self._ready) >= count:
                    return
                async with self._engine.begin() as connection:
                    rows = await connection.execute(
                        _NEXT, {"sequence": self._sequence, "size": max(self._block, count)}
                    )
                    self._ready.extend(rows.scalars())

    def take(self) -> int:
        """The next id; `reserve` first."""
        return self._ready.popleft()


#: Deliveries of one transaction, where no output becomes several.
RESERVED = 60


@dataclass(frozen=True, slots=True)
class IdPools:
    """Ids of the tables whose rows are named by other rows of the same transaction."""

    session: Ids
    dialog: Ids
    delivery: Ids
    timer: Ids
    handover: Ids

    async def reserve(self) -> None:
        """Enough for any one transaction."""
        await self.session.reserve(1)
        await self.dialog.reserve(2)
        await self.delivery.reserve(RESERVED)
        await self.timer.reserve(8)
        await self.handover.reserve(2)
