"""Everything that changes, live, as server-sent events."""

from collections.abc import AsyncIterator

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream

from app.sandbox.control.common import API
from app.sandbox.feed import Watcher
from app.sandbox.world import World

RECONNECT_MS = 1000


@get(API + "/stream")
async def stream(world: NamedDependency[World]) -> Stream:
    """One event per change: `hello` at first and `reset` mean "load everything anew"; the others carry
    the view they are named for (`conversation`, `message`, `webhook`, `call`; `faults` carries none)."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(_events(world), media_type="text/event-stream", headers=headers)


async def _events(world: World) -> AsyncIterator[bytes]:
    watcher = Watcher(world)
    try:
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        async for change in watcher.changes():
            if change is None:
                yield b": still here\n\n"
            else:
                yield b"event: %b\ndata: %b\n\n" % (change.kind.encode(), msgspec.json.encode(change))
    finally:
        watcher.close()


HANDLERS = [stream]
