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

    @property
    def ready(self) -> int:
        """How many can be taken without waiting."""
        return len(self._ready)

    async def reserve(self, count: int) -> None:
        """Return when `count` ids can be taken without waiting: they are whoever's takes them first."""
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


#: What one transaction takes where no output becomes several and few events wait.
ENOUGH = {"session": 1, "dialog": 2, "delivery": 60, "timer": 8, "handover": 2}
#: And for each event that it notes: each may begin and end a handover that nobody asked for.
AN_EVENT = {"delivery": 2, "timer": 4, "handover": 1}


@dataclass(frozen=True, slots=True)
class IdPools:
    """Ids of the tables whose rows are named by other rows of the same transaction."""

    session: Ids
    dialog: Ids
    delivery: Ids
    timer: Ids
    handover: Ids

    async def reserve(self, *, events: int = 0, said: int = 0) -> None:
        """Return when there are enough for any transaction that notes so many events and says so much.

        All at once, and for whoever goes on without awaiting anything: else others take them meanwhile.
        """
        while short := [
            (pool, count)
            for pool, count in (
                (self.session, ENOUGH["session"]),
                (self.dialog, ENOUGH["dialog"]),
                (self.delivery, ENOUGH["delivery"] + AN_EVENT["delivery"] * events + said),
                (self.timer, ENOUGH["timer"] + AN_EVENT["timer"] * events),
                (self.handover, ENOUGH["handover"] + AN_EVENT["handover"] * events),
            )
            if pool.ready < count
        ]:
            for pool, count in short:
                await pool.reserve(count)
