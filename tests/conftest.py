"""What every test can use, and how tests are spread over processes (`make test`)."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Of the acceptance tests, those that share no `parley up` with the others.
ALONE = ("test_files.py", "test_sandbox_process", "test_up")

#: Those that kill and stop its parts: they share one of their own, beside that of the others.
HARSH = ("test_kills", "test_poison", "test_reloads", "test_workers")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio alone: it is what Parley runs on."""
    return "asyncio"


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests of a file run in one process, and so do those that share a `parley up`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        if "acceptance/" in file and not any(name in file for name in ALONE):
            return "harsh" if any(name in file for name in HARSH) else "acceptance"
        return file


@pytest.hookimpl(optionalhook=True)  # absent with -p no:xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """How tests are spread."""
    return Together(config, log)
