"""A `parley up` that acceptance tests share, and one of their own, with the sandbox as 8x8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance import shared
from tests.acceptance.running import Parley
from tests.acceptance.stage import Stage

#: Of a failed test's log.
SHOWN = 40_000

_logged: dict[tuple[str, str], int] = {}


@pytest.fixture(scope="module")
def parley(request: pytest.FixtureRequest) -> Parley:
    """A `parley up` that tests of several files share. They may kill its parts, but leave it answering."""
    return shared.shared(request.node.nodeid)


@pytest.fixture(scope="module")
def stage(parley: Parley) -> Iterator[Stage]:
    """The shared `parley up` with what tests need to talk to its bots and to look inside."""
    stage = Stage(parley)
    yield stage
    stage.close()


@pytest.fixture(scope="session", autouse=True)
def _stopped() -> Iterator[None]:
    """Nothing is left running."""
    yield
    for kind in list(shared.running):
        shared.stop(kind)


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
    for kind, parley in shared.running.items():
        _logged[request.node.nodeid, kind] = len(parley.errors.encode())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test's report has what Parley logged meanwhile."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]  # a wrapper's result is typed by nobody
        for kind, parley in shared.running.items():
            logged = parley.logged_since(_logged.get((item.nodeid, kind), 0))
            report.sections.append(("what Parley logged meanwhile", logged[-SHOWN:]))  # type: ignore[attr-defined]
    return report
