"""`parley sandbox`: a local Chat Gateway with a tenant for each endpoint that points at it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from app.commands.common import is_sandbox, read_endpoints_file, read_settings
from app.database.location import find_database
from app.endpoints import Endpoints
from app.errors import ConfigurationError
from app.logs import set_up_logging
from app.reloading import Reloader
from app.sandbox.config import ANY_CHANNEL, SandboxConfig, TenantConfig
from app.sandbox.world import World
from app.settings import Settings


def run(
    *, host: str, port: int | None, tenant: str | None, api_key: str | None, webhook_url: str | None
) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigurationError, for a port that is taken too."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format, part="sandbox")
    if port is not None:
        settings = settings.model_copy(update={"sandbox_port": port})
    own: TenantConfig | None = None
    if tenant and api_key:
        own = TenantConfig(tenant, api_key, webhooks={ANY_CHANNEL: webhook_url} if webhook_url else {})
    elif tenant or api_key or webhook_url:
        raise ConfigurationError("a tenant of its own needs --tenant and --api-key")

    def wanted(endpoints: Endpoints | None) -> list[TenantConfig]:
        of_file = tenants_of(endpoints, settings) if endpoints is not None else []
        return [each for each in of_file if own is None or each.tenant != own.tenant] + ([own] if own else [])

    tenants = wanted(read_endpoints_file(settings) if settings.endpoints.exists() else None)
    if not tenants:
        raise ConfigurationError(
            f"no endpoint in {settings.endpoints} has the base_url http://127.0.0.1:{settings.sandbox_port}: "
            "point one there or give --tenant and --api-key"
        )
    _serve(host, settings, tenants, lambda world: following(world, settings, wanted))


@asynccontextmanager
async def following(
    world: World, settings: Settings, wanted: Callable[[Endpoints], list[TenantConfig]]
) -> AsyncIterator[None]:
    """The tenants follow endpoints.yaml: on SIGHUP, and at `parley reload` where there is a database."""
    reloader = Reloader(settings, "sandbox", lambda endpoints: world.set_tenants(wanted(endpoints)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.soon)
    try:
        listening = asyncio.create_task(reloader.listen(find_database(settings)))
    except ConfigurationError:
        yield
        return
    try:
        yield
    finally:
        listening.cancel()


def tenants_of(endpoints: Endpoints, settings: Settings) -> list[TenantConfig]:
    """A tenant for each endpoint whose gateway is this sandbox; its events go to this machine's receiver."""
    tenants: dict[str, TenantConfig] = {}
    for endpoint in endpoints.endpoints:
        if not is_sandbox(endpoint, settings):
            continue
        name = endpoint.eightxeight.tenant or f"sandbox-{endpoint.name}"
        url = f"http://{_reachable(settings.host)}:{settings.port}/8x8/{endpoint.tokens[0]}"
        tenants.setdefault(
            name,
            TenantConfig(
                name,
                endpoint.eightxeight.api_key.get_secret_value(),
                webhooks={ANY_CHANNEL: url},
                label=endpoint.name,
            ),
        )
    return list(tenants.values())


def _reachable(host: str) -> str:
    """An address that reaches a server listening on `host`."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _serve(
    host: str,
    settings: Settings,
    tenants: list[TenantConfig],
    beside: Callable[[World], AbstractAsyncContextManager[None]],
) -> None:
    from app.sandbox.app import create_app
    from app.sandbox.server import listen, make_server

    port = settings.sandbox_port
    config = SandboxConfig(
        tenants=tenants,
        base_url=f"http://{_reachable(host)}:{port}",
        host=host,
        data=settings.home.expanduser().absolute() / "sandbox",
    )
    try:
        listening = listen(host, port)
    except OSError as error:
        raise ConfigurationError(f"port {port} (PARLEY_SANDBOX_PORT) is taken: {error.strerror}") from error
    # Of uvicorn's own life only what went wrong is worth a line.
    log_level = "debug" if settings.log_level.upper() == "DEBUG" else "warning"
    make_server(create_app(config, beside), log_level=log_level).run([listening])
