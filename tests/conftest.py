"""What every test can use."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio alone: it is what Parley runs on."""
    return "asyncio"


#: Folders whose tests share processes that take long to start.
TOGETHER = ("acceptance", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs in one process when tests are spread (`make test`): such a folder, or a file."""
    tests = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        item.add_marker(pytest.mark.xdist_group(folder if folder in TOGETHER else str(item.path)))
