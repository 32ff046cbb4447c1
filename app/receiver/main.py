"""`parley serve`: the receiver as a process with two listeners."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg
import structlog
import uvicorn
import uvloop
from litestar import Litestar

from app.analytics.collecting import note_collecting
from app.database.engine import connect
from app.database.schema import head
from app.endpoints import Endpoints
from app.errors import ConfigurationError
from app.files.links import open_links
from app.files.serving import FileServer, file_routes
from app.files.store import open_store
from app.gateway.key_service import KeyService
from app.gateway.keys import KeyCache
from app.processes import keep_out_of_collections
from app.receiver.app import create_admin_app, create_public_app
from app.receiver.batcher import Batcher
from app.receiver.calls import Calls
from app.receiver.calls_route import call_routes
from app.receiver.database import Database
from app.receiver.gauges import Gauges
from app.receiver.inbox import Unavailable
from app.receiver.metrics import Metrics
from app.receiver.notifier import Notifier
from app.receiver.pages import admin_pages
from app.receiver.tokens import Tokens
from app.receiver.webhook import Webhook
from app.reloading import Reloader
from app.settings import Settings

log = structlog.get_logger()

#: Seconds that open requests get to finish when the process is told to stop.
GRACE = 5
#: Requests at a time; what is beyond is answered 503.
MOST_REQUESTS = 2000


@dataclass(frozen=True)
class Receiver:
    """The two applications."""

    public: Litestar
    admin: Litestar
    reload: Callable[[], None]
    """Read endpoints.yaml again, soon."""


def run(settings: Settings, endpoints: Endpoints, *, database_url: str) -> None:
    """Receive until SIGINT or SIGTERM. Raises ConfigurationError when a port can't be had."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # until there is something to reload
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with serving(settings, endpoints, database_url=database_url) as ports:
            loop.add_signal_handler(signal.SIGHUP, ports.reload)
            keep_out_of_collections()
            await stop.wait()

    uvloop.run(main())


@asynccontextmanager
async def receiver(settings: Settings, endpoints: Endpoints, *, database_url: str) -> AsyncIterator[Receiver]:
    """The receiver with all its parts, as long as the context lasts."""
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        service = KeyService()
        stack.push_async_callback(service.aclose)
        keys = KeyCache(service.fetch, on_fetch=metrics.key_fetch)
        stack.push_async_callback(keys.aclose)
        database = await Database.open(database_url)
        stack.push_async_callback(database.aclose)
        metrics.add(Gauges(database.read_gauges))
        notifier = Notifier(
            partial(connect, database_url, application="parley-notify"), count=metrics.notification
        )
        notifier.start()
        stack.push_async_callback(notifier.aclose)
        batcher = Batcher(database.store_together, database.store_singly)
        stack.push_async_callback(batcher.aclose)
        metrics.watch_waiting(lambda: batcher.waiting)
        webhook = Webhook(
            database=database,
            keys=keys,
            batcher=batcher,
            notifier=notifier,
            metrics=metrics,
            freshness=settings.freshness,
        )
        pages = await stack.enter_async_context(admin_pages(settings, endpoints, database_url))
        tokens = Tokens(endpoints)
        await note_collecting_if_possible(database_url, endpoints)

        def apply(new: Endpoints) -> None:
            tokens.replace(new)
            pages.replace(new)

        reloader = Reloader(
            settings,
            "receiver",
            apply,
            prepare=lambda new: note_collecting(database_url, new.endpoints),
        )
        listening = asyncio.create_task(reloader.listen(database_url))
        stack.callback(listening.cancel)
        calls = Calls(database, batcher, notifier, metrics)
        files = FileServer(
            open_store(endpoints.files, settings.home), open_links(settings), database.stored_file
        )
        stack.callback(files.close)
        routes = [*call_routes(calls, tokens, metrics), *file_routes(files)]
        yield Receiver(
            public=create_public_app(webhook, tokens, metrics, *routes),
            admin=create_admin_app(partial(missing, database, head()), metrics, *pages.routes),
            reload=reloader.soon,
        )


async def note_collecting_if_possible(database_url: str, endpoints: Endpoints) -> None:
    """Before the first event comes. Where the database is away now, the worker does it when it is back."""
    try:
        await note_collecting(database_url, endpoints.endpoints)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("collecting_not_noted", error=type(error).__name__)


async def missing(database: Database, expected: str) -> str | None:
    """Why the receiver can't do its work, or None."""
    try:
        found = await database.version()
    except Unavailable as reason:
        return str(reason)
    return None if found == expected else f"The tables have version {found or 'none'}, not {expected}"


@dataclass(frozen=True)
class Ports:
    """Where the two listeners are, and how to have endpoints.yaml read again."""

    public: int
    admin: int
    reload: Callable[[], None]


@asynccontextmanager
async def serving(settings: Settings, endpoints: Endpoints, *, database_url: str) -> AsyncIterator[Ports]:
    """The receiver on its two ports, as long as the context lasts (0 in the settings: any free port)."""
    public = listen(settings.host, settings.port, "PARLEY_PORT")
    admin = listen(settings.admin_host, settings.admin_port, "PARLEY_ADMIN_PORT")
    async with receiver(settings, endpoints, database_url=database_url) as parts:
        servers = [_server(parts.public), _server(parts.admin)]
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, (public, admin), strict=True)
        ]
        ports = Ports(public.getsockname()[1], admin.getsockname()[1], parts.reload)
        while not all(server.started for server in servers):
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.01)
        log.info("receiver_started", host=settings.host, port=ports.public, admin_port=ports.admin)
        try:
            yield ports
        finally:
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)
            log.info("receiver_stopped")


def listen(host: str, port: int, variable: str) -> socket.socket:
    """A listening socket. Raises ConfigurationError that names the variable when the port can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Port {port} on {host} can't be had ({error.strerror}): set {variable} to another one"
        ) from None
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to `run`, since there are two of it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(application: Litestar) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            application,
            http="httptools",
            loop="none",
            ws="none",
            lifespan="off",
            access_log=False,  # paths hold tokens
            log_config=None,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_REQUESTS,
            backlog=2048,
            timeout_keep_alive=75,  # longer than the proxy in front keeps its connections
            timeout_graceful_shutdown=GRACE,
        )
    )
