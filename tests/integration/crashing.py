"""Crashes at the seam between code and database: the n-th transaction is the process's last.

The points are found by counting; the product knows nothing of it. A process that has crashed does nothing any
more: whatever still runs of it finds neither database nor 8x8. Another worker takes over, and may crash too.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversation import at_once, owned
from app.database.direct import Direct, direct, transaction
from app.database.tables import metadata
from tests.integration.scene import Scene

Begun = TypeVar("Begun")

#: What a request to 8x8 may be, by its method's name.
REQUESTS = (
    "send",
    "assign",
    "update_user",
    "post_agent_assignment",
    "messages",
    "conversation",
    "upload",
)


class Crash(BaseException):
    """The process ends here."""


@dataclass(frozen=True, slots=True)
class Point:
    """A transaction by its number, and whether the crash comes after its commit.

    `again`: so many transactions later the worker that took over crashes as well, before it commits.
    """

    number: int
    after: bool
    again: int | None = None

    def __str__(self) -> str:
        more = f", and again {self.again} later" if self.again else ""
        return f"a crash {'after' if self.after else 'before'} commit {self.number}{more}"


class CrashingEngine:
    """An engine that counts its transactions and ends with the one it is told."""

    def __init__(self, engine: AsyncEngine, point: Point | None = None) -> None:
        self.engine = engine
        self.count = 0
        self.point = point
        self.dead = False
        self.reached: set[str] = set()
        """Files of the product that began a transaction of an owned conversation."""

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Reading needs no commit."""
        self.alive()
        return self.engine.connect()

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction, perhaps the last one."""
        return self._perhaps_the_last(self.engine.begin())

    def begin_directly(self) -> AbstractAsyncContextManager[Direct]:
        """The same for what is said to the driver itself."""
        self.reached |= _files_on_the_way()
        return self._perhaps_the_last(transaction(self.engine))

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[Direct]:
        """One statement that commits by itself."""
        self.reached |= _files_on_the_way()
        self.alive()
        self.count += 1
        last, after = self._is_last()
        if last and not after:
            self.dead = True
            raise Crash
        async with direct(self.engine) as connection:
            yield connection
        self.alive()
        if last:
            self.dead = True
            raise Crash

    def alive(self) -> None:
        """Raises Crash where the process has ended."""
        if self.dead:
            raise Crash

    @asynccontextmanager
    async def _perhaps_the_last(self, begun: AbstractAsyncContextManager[Begun]) -> AsyncIterator[Begun]:
        self.alive()
        self.count += 1
        last, after = self._is_last()
        async with begun as connection:
            yield connection
            self.alive()
            if last and not after:
                self.dead = True
                raise Crash
        if last:
            self.dead = True
            raise Crash

    def _is_last(self) -> tuple[bool, bool]:
        point = self.point
        if point is None:
            return False, False
        if self.count == point.number:
            return True, point.after
        return point.again is not None and self.count == point.number + point.again, False


def _files_on_the_way() -> set[str]:
    """The product's files that the running call comes through, as `conversation/commit.py`."""
    files, frame = set(), sys._getframe(2)
    while frame is not None:
        _, found, file = frame.f_code.co_filename.rpartition("/app/")
        if found:
            files.add(file)
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return files


@contextmanager
def crashing(play: Scene, point: Point | None = None) -> Iterator[CrashingEngine]:
    """Let a scene's worker crash there; without a point only count."""
    engine = CrashingEngine(play.engine, point)
    play.services.engine = cast(AsyncEngine, engine)
    with pytest.MonkeyPatch.context() as seam:  # the transactions of an owned conversation count too
        seam.setattr(owned, "transaction", CrashingEngine.begin_directly)
        seam.setattr(at_once, "direct", CrashingEngine.at_once)
        for name in REQUESTS:
            if hasattr(play.gateway, name):
                seam.setattr(play.gateway, name, _while_alive(engine, getattr(play.gateway, name)))
        yield engine


def _while_alive(engine: CrashingEngine, request: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    async def ask(*args: Any, **kwargs: Any) -> Any:
        engine.alive()
        return await request(*args, **kwargs)

    return ask


async def empty(engine: AsyncEngine) -> None:
    """As no conversation had ever been."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # in any order
        await connection.exec_driver_sql(f"DO $$ BEGIN {_deletions()} END $$")


@cache
def _deletions() -> str:
    """Statements that delete all that is said and done, with every table that refers to it.

    To truncate the tables takes ten times as long, and then every statement has to be planned anew.
    """
    found = {
        "contact",
        "conversation",
        "event",
        "worker",
        "incident",
        "endpoint_state",
        "session_run",
        "file",
    }
    while more := {
        name
        for name, table in metadata.tables.items()
        if name not in found and any(each.column.table.name in found for each in table.foreign_keys)
    }:
        found |= more
    return " ".join(f"DELETE FROM {table};" for table in sorted(found))


async def buried(play: Scene) -> None:
    """The worker that crashed is known to be dead; the next one begins."""
    play.worker = 0
    engine = cast(CrashingEngine, play.services.engine)
    engine.dead = False
    async with play.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE worker SET alive_until = now()")


async def survived(play: Scene, work: Callable[[], Awaitable[object]]) -> bool:
    """Do it; false where the worker crashed."""
    try:
        await work()
    except Crash:
        await buried(play)
        return False
    return True


async def worked(play: Scene, seconds: float = 0) -> bool:
    """Work on what is due then; false where the worker crashed. The next one finds its lease over."""
    return await survived(play, lambda: play.later(seconds))


async def settled(play: Scene, seconds: float = 0) -> None:
    """Work, and after a crash work again as another worker, until nothing is due for a while."""
    open_deliveries = "SELECT count(*) FROM delivery WHERE status IN ('waiting', 'sending', 'in_doubt')"
    play.clock.forward(seconds)
    for number in range(12):
        if await worked(play, 3 if number else 0) and await play.value(open_deliveries) == 0:
            return


def points(count: int) -> list[Point]:
    """Every point of a story with so many transactions, and some with a second crash soon after."""
    single = [Point(number, after) for number in range(1, count + 1) for after in (False, True)]
    return single + [
        Point(each.number, each.after, 1 + number % 3) for number, each in enumerate(single[::6])
    ]
