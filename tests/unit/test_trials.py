"""Suspects are handled one at a time, those blamed least first, and none waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from app.conversation.trials import Trials


class Told:
    """Suspects that were let in, in that order, and how many were in at once."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.began: list[int] = []
        self.inside = self.most = 0
        self.go, self.both = asyncio.Event(), asyncio.Event()

    def suspect(self, conversation: int, deaths: int) -> asyncio.Task[None]:
        """Its trial, which ends when told to."""
        return asyncio.create_task(self._tried(conversation, deaths))

    async def _tried(self, conversation: int, deaths: int) -> None:
        async with self.trials.alone(conversation, deaths):
            self.began.append(conversation)
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside == 2:
                self.both.set()
            await self.go.wait()
            await asyncio.sleep(0)
            self.inside -= 1


async def settled() -> None:
    """What is ready to run has run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_at_a_time_and_those_blamed_least_first() -> None:
    told = Told(Trials())
    tasks = [told.suspect(number, deaths) for number, deaths in ((1, 1), (2, 3), (3, 2), (4, 1), (5, 1))]
    await settled()
    assert told.began == [1]
    told.go.set()
    await asyncio.gather(*tasks)
    assert told.began == [1, 4, 5, 3, 2] and told.most == 1


async def test_who_was_blamed_waits_for_those_less_blamed_that_are_open() -> None:
    told = Told(Trials())
    told.go.set()
    told.trials.expect(7, 1)
    told.trials.expect(8, 0)  # no suspect
    told.trials.expect(9, 2)
    blamed = told.suspect(1, 2)
    await settled()
    assert told.began == []
    await told.suspect(7, 1)
    await blamed
    assert told.began == [7, 1]


async def test_who_had_nothing_to_handle_is_waited_for_no_longer() -> None:
    told = Told(Trials())
    told.go.set()
    told.trials.expect(7, 1)
    blamed = told.suspect(1, 2)
    await settled()
    assert told.began == []
    told.trials.forget(7)
    await blamed


async def test_nobody_is_waited_for_longer_than_patience_lasts() -> None:
    told = Told(Trials(patience=0.05))
    told.go.set()
    told.trials.expect(7, 1)
    async with asyncio.timeout(5):
        await told.suspect(1, 2)
    assert told.began == [1]


async def test_a_trial_that_lasts_is_no_longer_alone() -> None:
    told = Told(Trials(trial=0.05))
    slow = told.suspect(1, 1)
    await settled()
    next_one = told.suspect(2, 2)
    async with asyncio.timeout(5):
        await told.both.wait()
    told.go.set()
    await asyncio.gather(slow, next_one)
    assert told.most == 2


@pytest.mark.parametrize("granted", [False, True])
async def test_one_that_is_cancelled_holds_nobody_up(granted: bool) -> None:
    trials = Trials()
    told = Told(trials)
    first = told.suspect(1, 1)
    await settled()
    second, third = told.suspect(2, 1), told.suspect(3, 1)
    await settled()
    if granted:  # in the moment in which it is let in
        told.go.set()
        first.cancel()
        await asyncio.sleep(0)
    second.cancel()
    told.go.set()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert third.exception() is None and told.began[-1] == 3
