"""What the admin port serves beside `/ready` and `/metrics`: OData and the console, with their own pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from litestar.types import ControllerRouterHandler

from app.database.engine import Limits, create_engine
from app.endpoints import Endpoints
from app.odata.routes import odata_router
from app.settings import Settings

#: Readers may wait a while, and never hold what the receiver needs.
READER = Limits(statement=20.0, pool_size=4, pool_wait=5.0)


@asynccontextmanager
async def admin_pages(
    settings: Settings, endpoints: Endpoints, database_url: str
) -> AsyncIterator[list[ControllerRouterHandler]]:
    """The routes, as long as the context lasts."""
    engine = create_engine(database_url, READER, application="parley-pages")
    try:
        yield [odata_router(engine, lambda: datetime.now(UTC), settings.admin_url)]
    finally:
        await engine.dispose()
