"""The verdict: what was written, what was stored, what arrived, held against each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from app.sandbox.schema import MessageView, WebhookView
from tests.faults.arrivals import UNKNOWN, match
from tests.faults.bots import ROUNDS
from tests.faults.desk import helped_with, of_desk
from tests.faults.ledger import Attempt, Delivery, Event, Handover, Ledger
from tests.faults.troubles import FAULTS, Happened

#: A message is looked for from two seconds after its request failed. One that arrives later than that (ns)
#: may come just after it was looked for; a reading and the next attempt's beginning take their time.
LATE, READING = 1_900_000_000, 2_500_000_000
#: A message that waits is handled in its place, unless the one that overtook it was just being handled. (ns)
HANDLING = 10_000_000_000
#: Kills after which a step runs again: its result was not stored.
STOPS_STEPS = ("worker", "second-worker", "both-workers", "postgresql")


@dataclass
class Verdict:
    """Counts for the table, and every violation in words."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    """Replies that arrived twice, which could not be excluded."""
    again: list[str] = field(default_factory=list)
    """Handovers of one wish that came twice, which could not be excluded."""
    waits: list[float] = field(default_factory=list)
    """Seconds from each of the users' messages to the first reply to it."""

    def count(self, what: str, number: int) -> None:
        """Note a figure."""
        self.counts[what] = number

    def wrong(self, what: str) -> None:
        """Note a violation."""
        self.violations.append(what)


def judge(
    webhooks: Sequence[WebhookView],
    messages: Sequence[MessageView],
    ledger: Ledger,
    happened: Sequence[Happened],
    *,
    users_wrote: int,
    helped: Sequence[str] = (),
) -> Verdict:
    """Hold everything against everything. `users_wrote`: so many messages were given to 8x8.

    `helped`: the wishes that an agent wrote about.
    """
    verdict = Verdict()
    known = sum(message.author_type == "user" for message in messages)
    if not users_wrote or known != users_wrote:
        verdict.wrong(f"{users_wrote} messages were written, 8x8 knows {known}")
    _events(verdict, webhooks, ledger)
    _inputs(verdict, [message for message in messages if not of_desk(message.conversation)], ledger)
    _handovers(verdict, [message for message in messages if of_desk(message.conversation)], ledger, happened)
    _helped(verdict, helped, ledger)
    _replies(verdict, messages, ledger, happened)
    _steps(verdict, messages, ledger, happened)
    if ledger.transcript_twice:
        verdict.wrong(f"{ledger.transcript_twice} lines of the transcript are there twice")
    for kind in ("quarantined", "bot_failed", "diverged", "body_mismatch"):
        if number := ledger.incidents.get(kind, 0):
            verdict.wrong(f"{number} incidents: {kind}")
    return verdict


def _events(verdict: Verdict, webhooks: Sequence[WebhookView], ledger: Ledger) -> None:
    """Every event that was acknowledged is stored once and handled."""
    stored = Counter(event.event_id for event in ledger.events)
    handled = {event.event_id for event in ledger.events if event.handled}
    sent = [each for each in webhooks if each.outcome not in ("dropped", "no_webhook")]
    for each in sent:
        name = f"event {each.event_id} ({each.event_type} of {each.conversation}, {each.outcome})"
        if stored[each.event_id] != 1:
            verdict.wrong(f"{name} is stored {stored[each.event_id]} times")
        elif each.event_id not in handled:
            verdict.wrong(f"{name} is not handled")
    verdict.count("events acknowledged to 8x8", len(sent))
    verdict.count("events sent more than once", sum(len(each.attempts) > 1 for each in sent))
    verdict.count("events stored and handled once", len(handled & {each.event_id for each in sent}))


def _inputs(verdict: Verdict, messages: Sequence[MessageView], ledger: Ledger) -> None:
    """Every message of a user was given to the bot once, in order, and answered by the script."""
    events = {event.id: event for event in ledger.events}
    written = defaultdict(list)
    for message in messages:
        if message.author_type == "user":
            written[message.conversation].append((message.text or "").split()[0])
    late = 0
    for talk, numbers in written.items():
        given = [events[event_id] for event_id in ledger.inputs[talk]]
        got = [(event.text or "").split()[0] for event in given]
        for number, times in Counter(got).items():
            if times > 1:
                verdict.wrong(f"{talk}: the bot was given message {number} {times} times")
        for number in sorted(set(numbers) - set(got), key=int):
            verdict.wrong(f"{talk}: the bot was never given message {number}")
        for event in given:
            if event.outcome != "input":
                verdict.wrong(f"{talk}: an input's event ended as {event.outcome}")
        for number, event in zip(got, given, strict=True):
            if event.late and not _was_overtaken(event, ledger):
                verdict.wrong(f"{talk}: message {number} is marked late, but nothing had overtaken it")
        in_time = [number for number, event in zip(got, given, strict=True) if not event.late]
        late += len(got) - len(in_time)
        if in_time != [number for number in numbers if number in in_time]:
            verdict.wrong(f"{talk}: messages were handled in another order and not marked late: {in_time}")
        _script(verdict, talk, [event.text or "" for event in given], ledger.deliveries[talk])
    verdict.count("messages of users", sum(map(len, written.values())))
    verdict.count("given to the bot once", len({each for talk in written for each in ledger.inputs[talk]}))
    verdict.count("of these overtaken on the way and marked late", late)


def _handovers(
    verdict: Verdict, messages: Sequence[MessageView], ledger: Ledger, happened: Sequence[Happened]
) -> None:
    """Each wish was one handover, which ended once, and the bot went on after it.

    One fails where 8x8 ignored its assignment and the one that was sent after it, and for no other reason. A
    user is handed over again, unasked, only where an assignment whose answer was lost was sent once more
    before 8x8 had told anything of it: the agent may have come and gone by then.
    """
    events = {event.id: event for event in ledger.events}
    ignored = sum(each.hits for each in happened if each.name == "assignment-ignored")
    failed = 0
    wishes = defaultdict(list)
    for message in messages:
        if message.author_type == "user":
            wishes[message.conversation].append(message.text or "")
    for talk, wished in wishes.items():
        given = [events[event_id].text or "" for event_id in ledger.inputs[talk]]
        if given != wished:
            verdict.wrong(f"{talk}: the bot was given {given}, the user wrote {wished}")
        ends = [each for each in ledger.handovers[talk] if each.asked]
        _unasked(verdict, talk, ledger.handovers[talk])
        said = [delivery.text for delivery in ledger.deliveries[talk]]
        expected = [f"{wish} {end.status}" for wish, end in zip(wished, ends, strict=False)]
        if len(ends) != len(wished) or said != expected:
            verdict.wrong(f"{talk}: {len(wished)} wishes, handovers {ends}, the bot said {said}")
        for end in ledger.handovers[talk]:
            failed += end.status == "failed"
            if end.status not in ("completed", "failed"):
                verdict.wrong(f"{talk}: a handover ended as {end.status} ({end.reason})")
    if 2 * failed > ignored:
        verdict.wrong(f"{failed} handovers failed, {ignored} assignments were ignored")
    if wishes:
        verdict.count("handovers, ended once and the bot back", sum(map(len, ledger.handovers.values())))
        verdict.count("of these failed: 8x8 ignored two assignments", failed)
        verdict.count("of these a second time for one wish, could not be excluded", len(verdict.again))


def _unasked(verdict: Verdict, talk: str, handovers: Sequence[Handover]) -> None:
    """Each handover that no bot asked for is one that could not be excluded."""
    for before, each in pairwise([None, *handovers]):
        if each is None or each.asked:
            continue
        again = before.assigned_again if before is not None else None
        told = before.told if before is not None else None
        if again is None or (told is not None and told < again):
            verdict.wrong(f"{talk}: an agent had the conversation though nobody asked: {handovers}")
        else:
            verdict.again.append(f"{talk}: the assignment was sent again before 8x8 told of the first")


def _helped(verdict: Verdict, helped: Sequence[str], ledger: Ledger) -> None:
    """What agents wrote is in the transcript, as often as they did."""
    for wish, number in Counter(helped).items():
        times = ledger.agents.get(helped_with(wish), 0)
        if times != number:
            verdict.wrong(
                f"what an agent wrote about {wish} {number} times is in the transcript {times} times"
            )


def _was_overtaken(event: Event, ledger: Ledger) -> bool:
    """Whether a later event of the conversation had been handled when this one came."""
    return any(
        other.talk == event.talk
        and other.at > event.at
        and 0 < other.processed < min(event.processed, event.received + HANDLING)
        for other in ledger.events
    )


def _script(verdict: Verdict, talk: str, texts: Sequence[str], deliveries: Sequence[Delivery]) -> None:
    """The bot said what its script says, all of it, in order."""
    expected: list[str] = []
    for place, text in enumerate(texts, start=1):
        number, *wishes = text.split()
        made = f"made {number}" if "step" in wishes else "nothing made"
        expected += [f"{number}.1 is input {place}", f"{number}.2 {made}", "Done."]
    said = [delivery.text for delivery in deliveries]
    if said != expected:
        at = next((i for i, (a, b) in enumerate(zip(said, expected, strict=False)) if a != b), len(said))
        verdict.wrong(
            f"{talk}: the bot's reply {at + 1} is {said[at : at + 1]}, not {expected[at : at + 1]}; "
            f"{len(said)} replies, not {len(expected)} (dialogs of {ROUNDS})"
        )


def _replies(
    verdict: Verdict, messages: Sequence[MessageView], ledger: Ledger, happened: Sequence[Happened]
) -> None:
    """Every reply arrived once, in its conversation's order, but for what can't be excluded."""
    arrived = defaultdict(list)
    for message in messages:
        if message.author_type == "bot":
            arrived[message.conversation].append(message)
    once = 0
    for talk in sorted({*ledger.deliveries, *arrived}):
        once += _of_talk(verdict, talk, ledger.deliveries.get(talk, []), arrived[talk], happened)
    deliveries = [delivery for each in ledger.deliveries.values() for delivery in each]
    verdict.count("replies", len(deliveries))
    verdict.count("replies tried more than once", sum(len(each.attempts) > 1 for each in deliveries))
    verdict.count("replies arrived, in order", once)
    verdict.count("arrived twice, could not be excluded", len(verdict.explained))


def _of_talk(
    verdict: Verdict,
    talk: str,
    deliveries: Sequence[Delivery],
    arrived: Sequence[MessageView],
    happened: Sequence[Happened],
) -> int:
    """One conversation's replies; how many of them came in their order."""
    matched = match(deliveries, arrived)
    for stranger in matched.strangers:
        verdict.wrong(f"{talk}: {stranger.text!r} arrived though no attempt explains it")
    for delivery in matched.empty:
        verdict.wrong(f"{talk}: an attempt of reply {delivery.id} was answered, but nothing arrived by it")
    place = {id(message): number for number, message in enumerate(arrived)}
    newest, once = -1, 0
    for delivery in deliveries:
        name = f"{talk}: reply {delivery.id} ({delivery.text!r})"
        if delivery.status != "sent":
            verdict.wrong(f"{name} ended as {delivery.status} ({delivery.reason})")
        copies = matched.copies.get(delivery.id, [])
        if not copies:
            verdict.wrong(f"{name} never arrived")
            continue
        first = place[id(copies[0][1])]
        if first < newest:
            verdict.wrong(f"{name} arrived before one that was said earlier")
        else:
            once += 1
        newest = max(newest, first)
        for brought, again in pairwise(copies):
            _double(verdict, name, delivery, brought, again, happened)
    return once


def _double(
    verdict: Verdict,
    name: str,
    delivery: Delivery,
    first: tuple[Attempt, MessageView],
    second: tuple[Attempt, MessageView],
    happened: Sequence[Happened],
) -> None:
    """A reply came twice: was there a way to know, before it was sent again, that it had arrived?

    There was none where the list of messages was made to show it late, and where it arrived while it was
    being looked for, or after: so long after its own request that nobody waited for it.
    """
    (own, copy), (attempt, again) = first, second
    behind = (again.arrived_ns - copy.arrived_ns) / 1e9
    readable = copy.arrived_ns + hidden(copy.arrived_ns, happened)
    if readable == copy.arrived_ns and copy.arrived_ns - own.started > LATE:
        readable += READING
    said = f"{name} arrived twice, {behind:.1f} s apart"
    outcomes = [each.outcome for each in delivery.attempts]
    if all(each not in UNKNOWN for each in outcomes[:-1]):
        verdict.wrong(f"{said} though no attempt was in doubt: {outcomes}")
    elif readable > attempt.started:
        ahead = (readable - attempt.started) / 1e9
        verdict.explained.append(
            f"{said}: the first copy could be read only {ahead:.1f} s after the next attempt had begun"
        )
    else:
        verdict.wrong(f"{said}, though the first could be read in time: {outcomes}")


def _steps(
    verdict: Verdict, messages: Sequence[MessageView], ledger: Ledger, happened: Sequence[Happened]
) -> None:
    """A step ran for each message that asked for one, again only after a crash, always with the same key."""
    wanted = {
        (message.text or "").split()[0]
        for message in messages
        if message.author_type == "user" and "step" in (message.text or "").split()
    }
    crashes = sum(each.hits for each in happened if each.name in STOPS_STEPS)
    keys: dict[str, list[str]] = defaultdict(list)
    for line in ledger.steps:
        number, key = line.split(maxsplit=1)
        keys[number].append(key)
    for number in sorted(wanted - set(keys), key=int):
        verdict.wrong(f"the step of message {number} never ran")
    for number in sorted(set(keys) - wanted, key=int):
        verdict.wrong(f"a step ran for message {number}, which asked for none")
    for number, used in keys.items():
        if len(set(used)) > 1:
            verdict.wrong(f"the step of message {number} ran with {len(set(used))} different keys")
        if len(used) > 1 + crashes:
            verdict.wrong(f"the step of message {number} ran {len(used)} times, with {crashes} crashes")


def hidden(arrived: int, happened: Sequence[Happened]) -> int:
    """For how long (ns) a message that arrived then could not be read back."""
    longest = 0
    for each in happened:
        if each.begun <= arrived <= each.ended:
            late = [getattr(f, "ms", 0) for f in FAULTS.get(each.name, (0, ()))[1] if _hides(f)]
            longest = max([longest, *late])
    return longest * 1_000_000


def _hides(fault: object) -> bool:
    return type(fault).__name__ == "ReadBackLate"
