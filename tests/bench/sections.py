"""What is measured, one function for each thing. Each gets a stage and gives figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

from tests.bench import usage
from tests.bench.figures import Figure, latency, noise_of, p50, p99, theft_note
from tests.bench.load import Shot, as_fast_as_possible
from tests.bench.stage import Stage
from tests.bench.traffic import Measured, Traffic

#: Over so many conversations the users write.
TALKS = 10
#: Seconds that a measurement lasts, and a look whether a rate may be sustained.
LONG, SHORT = 20.0, 6.0
#: New conversations a second whose flow runs Prefect's server on SQLite opens without falling behind.
OPENED = 2.0
#: How long conversations stay open while memory is measured, so that none closes before the last one opens.
STAY_OPEN = {"PARLEY_LINGER": "600"}
#: A rate is sustained when all are answered and 99 of 100 replies within so many ms: no queue grows.
SUSTAINED_P99 = 500.0
#: Share of the machine stolen by its host from which on a rate that failed is tried once more.
MUCH_STOLEN = 0.05
#: So few latencies say nothing of the slowest one of a hundred.
ENOUGH = 300
#: Share of the machine in use below which what went before is over.
IDLE = 0.25


@dataclass
class Results:
    """Figures, and who took the CPU during each section."""

    figures: list[Figure] = field(default_factory=list)
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    say: Callable[[str], None] = print

    def add(self, *figures: Figure) -> None:
        """Keep figures."""
        self.figures += figures

    def value(self, name: str) -> float | None:
        """A figure by its name."""
        return next((figure.value for figure in self.figures if figure.name == name), None)

    @asynccontextmanager
    async def watched(self, section: str) -> AsyncIterator[None]:
        """Note who takes the CPU meanwhile."""
        before = usage.usage()
        yield
        self.cpu[section] = usage.usage().since(before)


async def warm_up(traffic: Traffic) -> None:
    """Connections, caches, prepared statements and the flow's first run."""
    await traffic.measure(await traffic.messages(await traffic.talks(TALKS), 100), 20.0)


async def steady(
    traffic: Traffic, results: Results, rate: int, *, reach_p50: float, reach_p99: float | None
) -> None:
    """Latencies at a rate over `TALKS` conversations whose runs are open."""
    talks = await traffic.talks(TALKS)
    await traffic.measure(await traffic.messages(talks, 40), 10.0)
    shots = await traffic.messages(talks, int(rate * LONG))
    async with results.watched(f"{rate}/s"):
        measured = await traffic.measure(shots, rate)
    results.say(described(f"{rate}/s", measured))
    at = f"at {rate}/s"
    stolen = measured.stolen
    results.add(
        latency(f"post to reply {at}, p50", measured.replies, p50, reach=reach_p50, stolen=stolen),
        latency(
            f"post to reply {at}, p99",
            measured.replies,
            p99,
            reach=reach_p99,
            stolen=stolen,
            note=undisturbed_note(measured),
        ),
        latency(f"ack {at}, p50", measured.acks, p50, stolen=stolen),
        latency(f"ack {at}, p99", measured.acks, p99, stolen=stolen),
        Figure(f"unanswered, refused or doubled {at}", _wrong(measured), "", reach=0),
    )


async def sustained(
    traffic: Traffic,
    *,
    first: float,
    factor: float,
    most: float,
    talks: int = TALKS,
    p99_within: float = SUSTAINED_P99,
    short: float = SHORT,
    long: float = LONG,
    say: Callable[[str], None] = print,
) -> Measured | None:
    """The highest rate that is sustained: found with short looks, confirmed by a long one.

    A rate that fails while the host took much of the machine is tried once more: that says little of Parley.
    """
    users = await traffic.talks(talks)
    await traffic.measure(await traffic.messages(users, 4 * talks), 10.0)

    async def attempt(rate: float, seconds: float) -> tuple[Measured, bool]:
        shots = await traffic.messages(users, int(rate * seconds))
        measured = await traffic.measure(shots, rate)
        good = measured.complete and p99(measured.replies) <= p99_within
        say(described(f"{rate:.3g}/s for {seconds:.0f} s: {'holds' if good else 'too much'}", measured))
        if not good:
            await caught_up(traffic)
        return measured, good

    async def holds(rate: float, seconds: float) -> Measured | None:
        measured, good = await attempt(rate, seconds)
        if not good and measured.stolen > MUCH_STOLEN:
            measured, good = await attempt(rate, seconds)
        return measured if good else None

    rate = first
    while rate * factor <= most and await holds(rate * factor, short):
        rate *= factor
    lowest = first / 2
    while rate >= lowest:
        found = await holds(rate, long)
        if found is not None:
            return found
        rate /= factor**0.5
    return None


async def caught_up(traffic: Traffic, *, within: float = 30.0) -> None:
    """After too much: return when a second passes in which the machine is mostly idle again."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        before = usage.usage()
        await asyncio.sleep(1.0)
        if sum(usage.usage().since(before).values()) < 100 * IDLE * (psutil.cpu_count() or 1):
            return


async def ceiling(traffic: Traffic, results: Results, *, first: float) -> None:
    """The highest rate that everything together sustains."""
    async with results.watched("sustained (search)"):
        found = await sustained(traffic, first=first, factor=1.1, most=600, say=results.say)
    if found is None:
        results.add(Figure("sustained", 0, "messages/s", lower_is_better=False, reach=150))
        return
    results.add(
        Figure(
            "sustained",
            round(found.rate, 1),
            "messages/s",
            noise_of(found.stolen),
            reach=150,
            lower_is_better=False,
            note=theft_note(found.stolen),
        ),
        latency("post to reply at that rate, p50", found.replies, p50, stolen=found.stolen),
        latency("post to reply at that rate, p99", found.replies, p99, stolen=found.stolen),
    )


async def acks(traffic: Traffic, results: Results) -> None:
    """200 events a second posted, a quarter of them messages that are answered (and echoed on top)."""
    seconds, rate = 15.0, 200.0
    talks = await traffic.talks(40)
    number = int(seconds * rate / 4)
    messages = await traffic.messages(talks, number)
    typing = await traffic.typing(talks, 3 * number)
    shots: list[Shot] = []
    for each in range(number):
        shots += [messages[each], *typing[3 * each : 3 * each + 3]]
    async with results.watched("acks at 200 events/s"):
        measured = await traffic.measure(shots, rate)
    results.say(described("200 events/s", measured))
    results.add(
        latency("ack at 200 events/s, p50", measured.acks, p50, stolen=measured.stolen),
        latency("ack at 200 events/s, p99", measured.acks, p99, reach=20, stolen=measured.stolen),
    )


async def first_replies(traffic: Traffic, results: Results) -> None:
    """The first message of new conversations, two a second."""
    talks = await traffic.talks(40)
    shots = await traffic.messages(talks, len(talks))
    async with results.watched("first replies"):
        measured = await traffic.measure(shots, 2.0)
    results.say(described("first replies", measured))
    results.add(
        latency(
            "first reply of a new conversation, p50", measured.replies, p50, reach=150, stolen=measured.stolen
        ),
        latency("first reply of a new conversation, p99", measured.replies, p99, stolen=measured.stolen),
    )


async def memory(stage: Stage, traffic: Traffic, results: Results) -> None:
    """The worker's memory with 300 conversations open, each with its flow run, once all these are open."""
    talks = await traffic.talks(300)
    await traffic.measure(await traffic.messages(talks, 300), OPENED)
    await traffic.measure(await traffic.messages(talks, 300), 20.0)
    open_runs = await stage.ask(
        "SELECT count(*) FROM session_run r JOIN conversation c ON c.id = r.conversation_id "
        "WHERE r.ended_at IS NULL AND c.owner IS NOT NULL AND c.external_id = ANY($1)",
        [talk.id for talk in talks],
    )
    open_talks = await stage.ask("SELECT count(*) FROM conversation WHERE owner IS NOT NULL")
    used: psutil.Process = usage.find("worker")
    megabytes = used.memory_info().rss / 1e6
    note = f"{open_talks} conversations and {open_runs} flow runs open"
    results.say(f"memory: {megabytes:.0f} MB, {note}")
    results.add(Figure("worker's memory with 300 sessions", round(megabytes), "MB", reach=300, note=note))


async def receiver_alone(stage: Stage, traffic: Traffic, results: Results, *, seconds: float = 8.0) -> None:
    """Events a second that one receiver process acknowledges, counted in the database afterwards."""
    talks = await traffic.talks(200)
    shots = await traffic.messages(talks, int(seconds * 2500))
    warm, shots = shots[:500], shots[500:]
    await as_fast_as_possible(traffic.pool, warm, at_once=64, seconds=5)
    before = await stage.ask("SELECT count(*) FROM event")
    theft = usage.Theft()
    async with results.watched("receiver alone"):
        sent = await as_fast_as_possible(traffic.pool, shots, at_once=64, seconds=seconds)
    stolen = theft.share
    good = [shot for shot in sent if shot.status == 200]
    stored = await stage.ask("SELECT count(*) FROM event") - before
    durable = await stage.ask(
        "SELECT (current_setting('fsync') = 'on')::int * (current_setting('synchronous_commit') = 'on')::int"
    )
    if stored != len(good) or not durable:
        raise RuntimeError(f"{len(good)} acknowledged, {stored} stored, durable: {durable}")
    took = (max(shot.acked_ns for shot in good) - good[0].sent_ns) / 1e9
    rate = len(good) / took
    results.say(f"receiver alone: {len(good)} of {len(sent)} acknowledged in {took:.1f} s = {rate:.0f}/s")
    results.add(
        Figure(
            "acknowledged by one receiver",
            round(rate),
            "events/s",
            noise_of(stolen),
            1000,
            False,
            ", ".join(filter(None, [f"{stored} in the database, 64 requests at once", theft_note(stolen)])),
        ),
        latency("ack then, p99", [shot.ack_ms for shot in good], p99, stolen=stolen),
    )


async def naive(traffic: Traffic, results: Results) -> None:
    """The same messages through a flow run for each event; it is given more time to answer."""
    async with results.watched("naive (search)"):
        found = await sustained(
            traffic,
            first=2.5,
            factor=1.26,
            most=40,
            p99_within=4 * SUSTAINED_P99,
            short=10.0,
            say=results.say,
        )
    rate = found.rate if found else 2.5
    noise = max(0.26, noise_of(found.stolen)) if found else 0.26
    results.add(
        Figure(
            "the naive way: sustained",
            round(rate, 1),
            "messages/s",
            noise,
            lower_is_better=False,
            note="" if found else "less than that",
        )
    )
    if found:
        results.add(latency("the naive way: post to reply, p50", found.replies, p50))
    ours = results.value("sustained")
    if ours:
        results.add(
            Figure(
                "sustained, times the naive way",
                round(ours / rate, 1),
                "×",
                noise + 0.02,
                15,
                lower_is_better=False,
            )
        )


def described(what: str, measured: Measured) -> str:
    """One line for the terminal."""
    wrong = (
        ""
        if measured.complete
        else (f", {measured.unanswered} unanswered, {measured.refused} refused, {measured.doubled} doubled")
    )
    return (
        f"{what}: reply p50 {p50(measured.replies):.1f} p99 {p99(measured.replies):.1f} ms, ack p50 "
        f"{p50(measured.acks):.1f} p99 {p99(measured.acks):.1f} ms, sent {measured.late:.0f} ms late, "
        f"{measured.stolen:.0%} of the machine stolen, memory slow for {measured.slowed:.1%}{wrong}"
    )


def undisturbed_note(measured: Measured) -> str:
    """What 99 of 100 came to apart from the times when the machine's memory was slow, if there were such."""
    left, all_of_them = len(measured.undisturbed), len(measured.replies)
    if left == all_of_them or left < ENOUGH:
        return ""
    return f"{p99(measured.undisturbed):.1f} ms for the {left / all_of_them:.0%} sent while memory was fast"


def _wrong(measured: Measured) -> int:
    return measured.unanswered + measured.refused + measured.doubled
