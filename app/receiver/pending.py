"""An event that waits to be stored, and the request that waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.receiver.inbox import Arrival, Stored, Unavailable


def _future() -> asyncio.Future[Stored]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Pending:
    """`until` is when, on the loop's clock, its sender will have given up.

    `company_until` is until when one that nobody waits for may wait for others; None where somebody does.
    """

    arrival: Arrival
    until: float
    company_until: float | None = None
    done: asyncio.Future[Stored] = field(default_factory=_future)

    @property
    def hurried(self) -> bool:
        """Whether somebody waits for it."""
        return self.company_until is None

    def settle(self, outcome: Stored | Unavailable) -> None:
        """Let the request go on, if it is still there."""
        if self.done.done():
            return
        if isinstance(outcome, Stored):
            self.done.set_result(outcome)
        else:
            self.done.set_exception(outcome)

    def expired(self) -> bool:
        """Whether it needn't be stored any more; then its request has been refused."""
        if self.done.done():
            return True
        if asyncio.get_running_loop().time() < self.until:
            return False
        self.settle(Unavailable("it waited too long"))
        return True

    @property
    def stored(self) -> Stored | None:
        """What became of it, once it is stored."""
        finished = self.done.done() and not self.done.cancelled() and self.done.exception() is None
        return self.done.result() if finished else None
