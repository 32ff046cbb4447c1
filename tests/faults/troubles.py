"""What goes wrong: parts that are killed, and faults of 8x8 that the sandbox plays."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from app.sandbox import calls, faults
from app.sandbox.faults import AnyFault
from tests.faults.stage import Stage

#: Parts that are killed, as they are named on the command line and in the table.
KILLS: dict[str, tuple[str, ...]] = {
    "worker": ("worker",),
    "second-worker": ("second worker",),
    "both-workers": ("worker", "second worker"),
    "receiver": ("receiver",),
    "postgresql": ("PostgreSQL",),
    "prefect": ("Prefect server",),
}

#: Seconds after which a second worker that was killed is started again.
SECOND_BACK = 2.0

#: Seconds that the next kill waits at most for the part to be back. Without that, on a machine that is slow
#: to start processes, nothing would ever run for long enough to be met in the middle of its work.
BACK_WITHIN = 30.0

#: Seconds that a fault which met nothing yet stays on at most: the part that it needs may just be down.
MEETS_WITHIN = 45.0

_SEND: faults.Operation = "send_message"


def _lost(how: str = "drop", every: int = 3, hold: int = 12_000) -> faults.AnswerLost:
    return faults.AnswerLost(how=how, every=every, hold_ms=hold)  # type: ignore[arg-type]  # a Literal


#: Faults that are on together for a while (seconds).
FAULTS: dict[str, tuple[float, tuple[AnyFault, ...]]] = {
    "delays": (8, (faults.RestDelay(ms=1500, every=3), faults.RestDelay(ms=4000, every=7))),
    "errors-500": (6, (faults.RestError(operation=_SEND, status=500, every=3),)),
    "errors-429": (6, (faults.RestError(operation=_SEND, status=429, retry_after=2, every=3),)),
    "answer-lost": (6, (_lost("drop", 4), _lost("504", 5))),
    "answer-hangs": (6, (_lost("hang", 6),)),
    "answer-lost-no-echo": (6, (_lost("drop", 4), faults.EchoOff())),
    "request-cut": (6, (faults.RequestCut(operation=_SEND, every=4),)),
    "read-back-late": (6, (_lost("drop", 4), faults.EchoOff(), faults.ReadBackLate(ms=2000))),
    "read-back-too-late": (4, (_lost("drop", 4), faults.EchoOff(), faults.ReadBackLate(ms=15_000))),
    "assignment-ignored": (4, (faults.AssignmentIgnored(),)),
    "duplicates": (8, (faults.WebhookDuplicate(copies=3, every=2),)),
    "reordering": (8, (faults.WebhookReorder(every=3, hold_ms=400),)),
    "webhook-delays": (8, (faults.WebhookDelay(ms=800, every=4),)),
    "typing-dropped": (8, (faults.WebhookDrop(event_type="ACTIVITY"),)),
    "bad-signature": (6, (faults.WebhookBadSignature(every=3),)),
    "outage": (8, (faults.Outage(),)),
    "outage-cut": (5, (faults.Outage(how="drop"),)),
    "jwk-failing": (6, (faults.JwkError(status=503),)),
    "jwk-string": (6, (faults.JwkString(),)),
    "key-rotation": (2, ()),
    "unauthorized": (4, (faults.RestError(operation=_SEND, status=401, count=1, tenant="faults-two"),)),
}

#: With these the sandbox signs with a new key first, so that its public half has to be fetched.
ROTATING = ("key-rotation", "jwk-failing", "jwk-string")
#: One 401 stops an endpoint for a minute: once in a run is enough.
ONCE = ("unauthorized",)


@dataclass(frozen=True, slots=True)
class Happened:
    """A trouble, from when to when (ns since 1970), and how often it met something."""

    name: str
    begun: int
    ended: int
    hits: int


@dataclass
class Troubles:
    """Makes trouble in an order that the seed decides, and keeps what happened."""

    stage: Stage
    seed: int
    only: tuple[str, ...] = ()
    prefect: bool = True
    happened: list[Happened] = field(default_factory=list)

    async def run(self, until: float) -> None:
        """Kill parts and play faults, both at the same time, until that time (monotonic seconds)."""
        kills = [name for name in KILLS if self.prefect or name != "prefect"]
        await asyncio.gather(
            self._shuffled(kills, self._kill, until, pause=(1.0, 6.0), order=random.Random(self.seed)),
            self._shuffled(
                list(FAULTS), self._fault, until, pause=(0.5, 2.0), order=random.Random(self.seed + 1)
            ),
        )

    async def end(self) -> None:
        """No trouble any more."""
        await self.stage.sandbox(calls.set_faults())
        if self.stage.second.pid is None:
            self.stage.second.start()

    async def _shuffled(
        self,
        names: list[str],
        play: Callable[[str], Awaitable[int]],
        until: float,
        *,
        pause: tuple[float, float],
        order: random.Random,
    ) -> None:
        deck: list[str] = []
        wanted = [name for name in names if not self.only or name in self.only]
        while wanted and time.monotonic() < until:
            deck = deck or order.sample(wanted, len(wanted))
            name = deck.pop()
            if name in ONCE:
                wanted.remove(name)
            begun = time.time_ns()
            hits = await play(name)
            self.happened.append(Happened(name, begun, time.time_ns(), hits))
            await asyncio.sleep(order.uniform(*pause))

    async def _kill(self, name: str) -> int:
        killed = [await self.stage.kill(part) for part in KILLS[name]]
        if "second worker" in KILLS[name]:
            await asyncio.sleep(SECOND_BACK)
            self.stage.second.start()
        for part in KILLS[name]:
            await self.stage.back(part, within=BACK_WITHIN)
        return sum(killed)

    async def _fault(self, name: str) -> int:
        seconds, together = FAULTS[name]
        hits = 0
        if name in ROTATING:
            await self.stage.sandbox(calls.rotate_key())
            hits = 1
        most = max(seconds, MEETS_WITHIN)
        added = {(await self.stage.sandbox(calls.add_fault(_timed(each, most)))).id for each in together}
        begun = time.monotonic()
        await asyncio.sleep(seconds)
        met = hits + await self._hits(added)
        while not met and time.monotonic() < begun + MEETS_WITHIN:
            await asyncio.sleep(0.5)
            met = hits + await self._hits(added)
        for number in added:
            await self.stage.sandbox(calls.remove_fault(number))
        return met

    async def _hits(self, added: set[str]) -> int:
        """How often these faults met something."""
        views = (await self.stage.sandbox(calls.faults())).faults
        return sum(view.hits for view in views if view.id in added)


def _timed(fault: AnyFault, seconds: float) -> AnyFault:
    """The same fault, that ends by itself should nobody end it."""
    return msgspec.structs.replace(fault, for_seconds=seconds + 1.0)
