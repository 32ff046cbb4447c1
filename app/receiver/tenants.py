"""Each endpoint belongs to one tenant: a valid signature only says that 8x8 signed for *some* tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from app.endpoints import Endpoint
from app.errors import EventRefused

log = structlog.get_logger()

#: Pins (endpoint, tenant) unless another is pinned, and returns the one that is.
Pin = Callable[[str, str], Awaitable[str]]


class Tenants:
    """Which tenant each endpoint's events come from: the one set, else the first one verified."""

    def __init__(self, pin: Pin) -> None:
        self._pin = pin
        self._pinned: dict[str, str] = {}

    async def check(self, endpoint: Endpoint, tenant: str) -> None:
        """Raises EventRefused (401) for a verified event of another tenant. The first one is pinned."""
        expected = endpoint.eightxeight.tenant or self._pinned.get(endpoint.name)
        if expected == tenant:
            return
        if endpoint.eightxeight.tenant is None:  # unknown here, or perhaps changed by an operator since
            expected = self._pinned[endpoint.name] = await self._pin(endpoint.name, tenant)
        if expected != tenant:
            raise EventRefused(401, "The event is another tenant's")
