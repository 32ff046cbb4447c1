"""The admin port of a real receiver over a test's database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.endpoints import Endpoints
from app.receiver.main import serving
from app.settings import Settings
from app.tls import certificates
from tests.integration.scene import endpoint

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')

NOW = datetime.now(UTC)


def csrf(page: str) -> str:
    """What a page's forms carry, so that no other site's page can post for its reader."""
    found = _CSRF.search(page)
    assert found is not None
    return found[1]


@asynccontextmanager
async def admin(
    database_url: str,
    folder: Path,
    *,
    endpoints: Endpoints | None = None,
    file: Path | None = None,
    **settings: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin port. `file` is the endpoints.yaml that a reload reads."""
    values: dict[str, Any] = {"home": folder, "database_url": database_url, "port": 0, "admin_port": 0}
    if file is not None:
        values["endpoints"] = file
    known = endpoints or Endpoints(endpoints=[endpoint()])
    async with serving(Settings(**{**values, **settings}), known, database_url=database_url) as ports:
        url = f"http://127.0.0.1:{ports.admin}"
        async with httpx.AsyncClient(base_url=url, verify=certificates(), timeout=30) as client:
            yield client
