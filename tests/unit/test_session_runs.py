"""How long a delivery's retries are shown in the session's run."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from app.worker import session_runs
from app.worker.runs import Attempt


class OpenRun:
    """Counts what it is asked to retry."""

    ended = False
    asked = 0

    async def opened(self, within: float) -> bool:
        return True

    async def retry(self, attempt: Attempt, what: str) -> None:
        self.asked += 1
        await attempt()


@pytest.mark.anyio
async def test_the_minute_of_retries_begins_anew_once_a_delivery_was_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    none = cast(Any, None)
    runs, run = session_runs.SessionRuns(none, none, none, 1, 0.0), OpenRun()
    runs._run = cast(Any, run)

    async def attempt() -> bool:
        return settled

    settled = False
    await runs.retry(attempt, "delivery")
    clock += session_runs.RETRIES_FOR + 1
    await runs.retry(attempt, "delivery")
    assert run.asked == 1  # after the first minute it is ops' no more
    settled = True
    await runs.retry(attempt, "delivery")
    await runs.retry(attempt, "delivery")
    clock += 3600
    await runs.retry(attempt, "delivery")
    assert run.asked == 3
