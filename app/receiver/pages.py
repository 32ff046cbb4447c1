"""What the admin port serves beside `/ready` and `/metrics`: OData and the console, with their own pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from litestar.types import ControllerRouterHandler

from app.console.access import Access
from app.console.pages import Console
from app.database.engine import Limits, create_engine
from app.endpoints import Endpoints
from app.gateway.client import GatewayClient
from app.odata.routes import odata_router
from app.prefect_environment import prefect_api_url
from app.settings import Settings

#: Readers may wait a while, and never hold what the receiver needs. A plan that suits all endpoints alike
#: walks through a million sessions for one that has few.
READER = Limits(statement=20.0, pool_size=4, pool_wait=5.0, custom_plans=True)


@dataclass(frozen=True)
class Pages:
    """The routes, and how to tell them of other endpoints (OData reads the database alone)."""

    routes: Sequence[ControllerRouterHandler]
    replace: Callable[[Endpoints], None]


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def admin_pages(
    settings: Settings, endpoints: Endpoints, database_url: str, *, now: Callable[[], datetime] = _now
) -> AsyncIterator[Pages]:
    """The pages, as long as the context lasts."""
    engine = create_engine(database_url, READER, application="parley-pages")
    gateway = GatewayClient()
    password = settings.console_password.get_secret_value() if settings.console_password else None
    access = Access(engine, password, now, settings.admin_url)
    prefect = prefect_api_url(settings).removesuffix("/").removesuffix("/api")
    console = Console(engine, access, endpoints, gateway, prefect_ui=prefect, now=now)
    try:
        yield Pages([odata_router(engine, now, settings.admin_url), console.router()], console.replace)
    finally:
        await console.aclose()
        await gateway.aclose()
        await engine.dispose()
