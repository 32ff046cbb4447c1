"""One run: load, trouble, peace, verdict."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.sandbox.schema import MessageView
from tests.faults import ledger as ledgers
from tests.faults.desk import Desk
from tests.faults.judge import Verdict, judge
from tests.faults.ledger import Ledger
from tests.faults.stage import Stage, stage
from tests.faults.troubles import FAULTS, Happened, Troubles
from tests.faults.users import Users, Watch


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is made. Times in seconds, `rate` in messages of users a second."""

    seed: int
    seconds: float
    talks: int = 30
    desks: int = 6
    rate: float = 6.0
    only: tuple[str, ...] = ()
    prefect: bool = True
    patience: float = 150.0
    """How long after the last trouble everything may take to be handled and sent."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found."""

    plan: Plan
    verdict: Verdict
    happened: list[Happened]
    back: dict[str, list[float]]
    """Trouble → seconds until a message written after it began was answered, each time."""
    steps: int
    steps_again: int
    claims: int
    drained: float
    """Seconds from the last trouble until nothing was left to do."""

    @property
    def unmet(self) -> list[str]:
        """Faults that were on and met nothing, each time."""
        met = {each.name for each in self.happened if each.hits}
        return sorted({each.name for each in self.happened if each.name in FAULTS} - met)


async def run(plan: Plan, *, say: Callable[[str], None], keep: Path | None = None) -> Result:
    """Make a run. `keep` is a folder that Parley's log is copied to."""
    folder = Path(tempfile.mkdtemp(prefix="parley-faults-"))
    try:
        async with stage(folder / "parley", prefect=plan.prefect) as scene:
            say(f"everything is up; seed {plan.seed}")
            result = await play(scene, plan, say)
        if keep is not None:
            _keep(folder / "parley" / "stderr", keep)
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(log: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(log, folder / "parley.log")


async def play(scene: Stage, plan: Plan, say: Callable[[str], None]) -> Result:
    """Make a run on processes that are up. Their database and sandbox must hold nothing yet."""
    users = Users(scene, random.Random(plan.seed + 2), plan.rate)
    watch = Watch(scene)
    troubles = Troubles(scene, plan.seed, plan.only, prefect=plan.prefect)
    desk = Desk(scene, random.Random(plan.seed + 3), plan.patience)
    await users.begin(plan.talks)
    await desk.begin(plan.desks)
    await users.write(time.monotonic() + 2.0)
    watching = asyncio.create_task(watch.run())
    until = time.monotonic() + plan.seconds
    writing = asyncio.create_task(users.write(until + 3.0))
    helping = asyncio.create_task(desk.work(until))
    await troubles.run(until)
    await troubles.end()
    await writing
    peace = time.monotonic()
    say(
        f"{users.written} messages written, {desk.written} wishes for a person, "
        f"{len(troubles.happened)} troubles; waiting for peace"
    )
    await helping
    settled = await watch.settle(plan.patience)
    left = await ledgers.quiet(scene, within=plan.patience)
    drained = time.monotonic() - peace
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    await watch.settle(5.0)  # the last echoes
    await ledgers.quiet(scene, within=20.0)
    ledger = await ledgers.read(scene)
    messages = await watch.messages()
    verdict = judge(
        list(watch.webhooks.values()),
        messages,
        ledger,
        troubles.happened,
        users_wrote=users.written + desk.written,
        helped=desk.helped,
    )
    if left or not settled:
        verdict.wrong(f"after {plan.patience:.0f} s {left} things are left to do; all events out: {settled}")
    return _result(plan, verdict, ledger, troubles.happened, _answers(messages), drained)


def _result(
    plan: Plan,
    verdict: Verdict,
    ledger: Ledger,
    happened: list[Happened],
    answers: list[tuple[int, int]],
    drained: float,
) -> Result:
    lines = ledger.steps
    back: dict[str, list[float]] = {}
    for each in happened:
        after = [answered for asked, answered in answers if asked >= each.begun]
        if after:
            back.setdefault(each.name, []).append((min(after) - each.begun) / 1e9)
    verdict.waits = [(answered - asked) / 1e9 for asked, answered in answers]
    again = len(lines) - len(set(lines))
    return Result(plan, verdict, happened, back, len(set(lines)), again, ledger.claims, drained)


def _answers(messages: list[MessageView]) -> list[tuple[int, int]]:
    """When each message of a user was written, and when the first reply to it came (ns since 1970)."""
    asked: dict[str, int] = {}
    answered: list[tuple[int, int]] = []
    for message in messages:
        number = (message.text or "").split()[0]
        if message.author_type == "user":
            asked[number] = message.arrived_ns
        elif number.endswith(".1") and (since := asked.pop(number.removesuffix(".1"), None)):
            answered.append((since, message.arrived_ns))
    return answered
