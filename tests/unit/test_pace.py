"""How fast 8x8 is called with one API key."""

from __future__ import annotations

import time
from typing import Any

from app.bucket import Bucket
from app.gateway.client import GatewayClient
from app.gateway.outcome import Retry
from app.gateway.pace import Pace, Paces
from app.gateway.transport import Answer, Transport
from tests.integration.scene import endpoint


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_a_burst_and_then_so_many_a_second() -> None:
    clock = Clock()
    bucket = Bucket(2.0, 3, clock=clock)
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    clock.now = 10
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5], "never more than the burst"


def test_who_would_wait_too_long_comes_back_later_and_takes_nothing() -> None:
    clock = Clock()
    pace = Pace(1.0, 1, clock)
    assert pace.take(1.0) == (True, 0.0)
    assert pace.take(0.5) == (False, 1.0)
    clock.now = 1
    assert pace.take(0.5) == (True, 0.0)


def test_a_429_halves_the_pace_which_then_recovers() -> None:
    clock = Clock()
    pace = Pace(8.0, 1, clock)
    pace.slow_down()
    pace.slow_down()
    assert pace.take(10) == (True, 0.5), "2 a second"
    clock.now = 100.0
    pace.take(10)
    assert pace.take(10) == (True, 0.125), "8 a second again"


def test_the_pace_never_falls_to_nothing() -> None:
    clock = Clock()
    pace = Pace(64.0, 1, clock)
    for _ in range(50):
        pace.slow_down()
    assert pace.take(10) == (True, 1.0)


def test_endpoints_with_one_key_share_its_pace_and_those_without_a_rate_have_none() -> None:
    paces = Paces()
    gateway = {"base_url": "http://127.0.0.1:1", "api_key": "one-key-for-both", "rate": {"per_second": 5}}
    one, two = endpoint(eightxeight=gateway), endpoint(name="two", eightxeight=gateway)
    assert paces.of(one) is paces.of(two) is not None
    assert paces.of(endpoint()) is None


class Busy(Transport):
    """Answers 429 to everything."""

    def __init__(self) -> None:
        self.times: list[float] = []

    async def request(self, *_: Any, **__: Any) -> Answer:
        self.times.append(time.monotonic())
        return Answer(429, None, b"", True)


async def test_requests_keep_the_pace_and_what_would_wait_long_is_left_for_later() -> None:
    transport = Busy()
    client = GatewayClient(transport)
    rate = {"per_second": 4, "burst": 1}
    gateway = {"base_url": "http://127.0.0.1:1", "api_key": "a-key-of-8x8", "rate": rate}
    paced = endpoint(eightxeight=gateway)
    outcomes = [await client.send(paced, "c", {}) for _ in range(4)]
    last = outcomes[-1]
    assert all(isinstance(outcome, Retry) for outcome in outcomes) and isinstance(last, Retry)
    first, second, *others = transport.times
    assert second - first >= 0.45, "one 429: half of 4 a second"
    assert len(others) <= 1, "after two of them the next one would wait over a second"
    assert last.after is not None and last.after > 0.9
