"""endpoints.yaml read again while a process runs: on SIGHUP, and when `parley reload` asks.

`parley reload` sends a notification through the database, so that it reaches every receiver, worker and
sandbox, wherever it runs; each answers the same way. A file with a mistake changes nothing, and the answer
says why.
`${NAME}` is what the process was started with.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

import asyncpg
import structlog

from app.database.engine import connect, listening
from app.endpoints import Endpoint, Endpoints
from app.endpoints_file import load_endpoints
from app.errors import ConfigurationError
from app.settings import Settings

log = structlog.get_logger(__name__)

CHANNEL = "parley_reload"
ANSWERS = "parley_reloaded"

#: Bytes of a notification that PostgreSQL takes, less what stands around the reason.
LONGEST_REASON = 6000


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the file in one process. `reason` says what is wrong with it."""

    part: str
    host: str
    pid: int
    ok: bool
    reason: str = ""

    @classmethod
    def from_json(cls, payload: str) -> Answer:
        """From a notification."""
        return cls(**json.loads(payload))


class Reloader:
    """Reads the file again and hands it on. `apply` is called in the event loop and must not fail.

    `prepare` comes before it and may: then nothing is changed. It raises what a database raises, or
    ConfigurationError.
    """

    def __init__(
        self,
        settings: Settings,
        part: str,
        apply: Callable[[Endpoints], None],
        *,
        prepare: Callable[[Endpoints], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._part = part
        self._apply = apply
        self._prepare = prepare
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Answer]] = set()

    def soon(self) -> None:
        """Do it beside everything else."""
        task = asyncio.create_task(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> Answer:
        """Read the file; the process has its settings when this returns, or the old ones and a reason."""
        answer = partial(Answer, self._part, socket.gethostname(), os.getpid())
        async with self._turn:
            try:
                endpoints = await asyncio.to_thread(read_again, self._settings)
                if self._prepare is not None:
                    await self._prepare(endpoints)
            except ConfigurationError as error:
                log.error("reload_refused", reason=str(error))
                return answer(False, str(error)[:LONGEST_REASON])
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.error("reload_refused", reason="the database is away", error=type(error).__name__)
                return answer(False, "the database is away")
            self._apply(endpoints)
        log.info("reloaded", endpoints=len(endpoints.endpoints))
        return answer(True)

    async def listen(self, url: str) -> None:
        """Do what `parley reload` asks, for ever; reconnects by itself."""
        while True:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._listen_once(url)
            await asyncio.sleep(1.0)

    async def _listen_once(self, url: str) -> None:
        connection = await connect(url, application=f"parley reload {self._part}")
        ended, asked = asyncio.Event(), asyncio.Event()
        try:
            connection.add_termination_listener(partial(_set, ended, asked))
            await connection.add_listener(CHANNEL, lambda *_: asked.set())
            while True:
                await listening(connection, asked)
                asked.clear()
                if ended.is_set():
                    return
                answer = json.dumps(asdict(await self.reload()))
                await connection.execute("SELECT pg_notify($1, $2)", ANSWERS, answer)
        finally:
            connection.terminate()


def _set(ended: asyncio.Event, asked: asyncio.Event, _: object) -> None:
    ended.set()
    asked.set()


def read_again(settings: Settings) -> Endpoints:
    """The file, its bots and transformers imported. Raises ConfigurationError with every mistake."""
    return load_endpoints(settings.endpoints, bots=True)


def replace_endpoints(known: dict[str, Endpoint], endpoints: Endpoints) -> None:
    """Let a mapping that others hold have the new endpoints; one that is gone is as if disabled."""
    new = endpoints.by_name()
    gone = {
        name: endpoint.model_copy(update={"enabled": False})
        for name, endpoint in known.items()
        if name not in new
    }
    known.update({**new, **gone})


async def ask(url: str, *, within: float = 5.0, quiet: float = 1.0) -> list[Answer]:
    """Have every process read the file again; their answers, until none came for `quiet` seconds."""
    answers: asyncio.Queue[Answer] = asyncio.Queue()
    connection = await connect(url, application="parley reload")
    try:
        await connection.add_listener(
            ANSWERS, lambda *told: answers.put_nowait(Answer.from_json(str(told[3])))
        )
        await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
        found: list[Answer] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                found.append(await answers.get())
            while True:
                async with asyncio.timeout(quiet):
                    found.append(await answers.get())
        return found
    finally:
        await connection.close()
