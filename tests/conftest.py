"""What every test can use, and how tests are spread over processes (`make test`)."""

from __future__ import annotations

import sys

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.groups import group_of


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A `parley up` that tests shared ends with them, so that it takes nothing from the others."""
    if (shared := sys.modules.get("tests.acceptance.shared")) is not None:
        shared.leave(item.nodeid)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio alone: it is what Parley runs on."""
    return "asyncio"


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests of a file run in one process, and so do those that share a `parley up`."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)  # absent with -p no:xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """How tests are spread."""
    return Together(config, log)
