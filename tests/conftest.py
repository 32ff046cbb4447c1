"""What every test can use."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio alone: it is what Parley runs on."""
    return "asyncio"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs in one process when tests are spread (`make test`): a file, or all that share a `parley up`."""
    together = {item.path for item in items if "stage" in getattr(item, "fixturenames", ())}
    for item in items:
        shared = item.path in together and item.path.parent.name == "acceptance"
        item.add_marker(pytest.mark.xdist_group("acceptance" if shared else str(item.path)))
