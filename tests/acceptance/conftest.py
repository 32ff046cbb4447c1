"""One `parley up` that all acceptance tests share, with the sandbox as 8x8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import Parley
from tests.acceptance.stage import Stage, write_endpoints
from tests.scratch import scratch

#: Shorter than in production, so that what has to wait for them is tested in seconds. (seconds)
SHORT = {"PARLEY_LEASE": "4", "PARLEY_STUCK_AFTER": "3", "PARLEY_LINGER": "8"}

#: Of a failed test's log.
SHOWN = 40_000

_shared: list[Parley] = []
_logged: dict[str, int] = {}


@pytest.fixture(scope="session")
def parley() -> Iterator[Parley]:
    """A `parley up` that all tests share. They may kill its parts, but leave it running and answering."""
    with scratch("parley") as folder:
        yield from _running(folder)


def _running(folder: Path) -> Iterator[Parley]:
    (folder / "signals").mkdir()
    shared = Parley(folder, {**SHORT, "PARLEY_TEST_SIGNALS": str(folder / "signals")})
    endpoints = write_endpoints(folder, shared.variables["PARLEY_SANDBOX_PORT"])
    shared.variables["PARLEY_ENDPOINTS"] = str(endpoints)
    shared.start()
    _shared.append(shared)
    try:
        shared.wait_until_ready()
        yield shared
    finally:
        shared.kill_everything()


@pytest.fixture(scope="session")
def stage(parley: Parley) -> Iterator[Stage]:
    """The shared `parley up` with what tests need to talk to its bots and to look inside."""
    stage = Stage(parley)
    yield stage
    stage.close()


@pytest.fixture
def own_parley(tmp_path: Path) -> Iterator[Callable[..., Parley]]:
    """Makes a `parley up` for one test alone; the test starts it."""
    made: list[Parley] = []

    def make(*arguments: str, **environment: str) -> Parley:
        each = Parley(tmp_path / f"parley-{len(made)}", environment, arguments)
        made.append(each)
        return each

    yield make
    for each in made:
        each.kill_everything()


@pytest.fixture(autouse=True)
def _log_position(request: pytest.FixtureRequest) -> None:
    """Where the shared log stood as the test began."""
    for shared in _shared:
        _logged[request.node.nodeid] = len(shared.errors.encode())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test's report has what Parley logged meanwhile."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]  # a wrapper's result is typed by nobody
        for shared in _shared:
            logged = shared.logged_since(_logged.get(item.nodeid, 0))
            report.sections.append(("what Parley logged meanwhile", logged[-SHOWN:]))  # type: ignore[attr-defined]
    return report
