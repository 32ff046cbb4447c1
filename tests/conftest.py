"""What every test can use."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio alone: it is what Parley runs on."""
    return "asyncio"
