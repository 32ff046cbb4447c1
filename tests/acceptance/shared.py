"""The `parley up` that tests share: started for the first that wants it, stopped once others run."""

from __future__ import annotations

import os
from contextlib import ExitStack

from tests.acceptance.running import NO_PREFECT, Parley
from tests.acceptance.stage import write_endpoints
from tests.groups import shares
from tests.scratch import scratch

#: Shorter than in production, so that what has to wait for them is tested in seconds. (seconds)
SHORT = {
    "PARLEY_LEASE": "4",
    "PARLEY_STUCK_AFTER": "3",
    "PARLEY_LINGER": "8",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
}
#: What some test reads in the log.
LOGGED = {"PARLEY_LOG_LEVEL": "DEBUG", "PARLEY_LOG_FORMAT": "json"}

running: dict[str, Parley] = {}
_stacks: dict[str, ExitStack] = {}


def shared(nodeid: str) -> Parley:
    """The one for that test. Tests may kill its parts, but leave it running and answering."""
    kind = shares(nodeid)
    assert kind is not None, f"tests/groups.py says that {nodeid} has a `parley up` of its own"
    if kind not in running:
        with ExitStack() as stack:
            folder = stack.enter_context(scratch("parley"))
            (folder / "signals").mkdir()
            variables = {**SHORT, **LOGGED, "PARLEY_TEST_SIGNALS": str(folder / "signals")}
            parley = Parley(folder, variables if kind == "with Prefect" else variables | NO_PREFECT)
            endpoints = write_endpoints(folder, parley.variables["PARLEY_SANDBOX_PORT"])
            parley.variables["PARLEY_ENDPOINTS"] = str(endpoints)
            parley.start()
            stack.callback(parley.kill_everything)
            try:
                parley.wait_until_ready()
            except AssertionError as error:
                error.add_note(parley.errors)
                raise
            running[kind], _stacks[kind] = parley, stack.pop_all()
    return running[kind]


def leave(nodeid: str) -> None:
    """Stop those that this test can't use. Where tests run in one process alone, they are kept for others."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        for kind in list(running):
            if kind != shares(nodeid):
                stop(kind)


def stop(kind: str) -> None:
    """Stop one, if it runs."""
    running.pop(kind, None)
    if (stack := _stacks.pop(kind, None)) is not None:
        stack.close()
