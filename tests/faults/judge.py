"""The verdict: what was written, what was stored, what arrived, held against each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.sandbox.schema import MessageView, WebhookView
from tests.faults.bots import ROUNDS
from tests.faults.ledger import Delivery, Ledger
from tests.faults.troubles import FAULTS, Happened

#: By how much a copy may have become readable before the next attempt began: a reading takes its time. (ns)
READING = 1_000_000_000

#: How an attempt ended of which nobody knew whether it arrived.
UNKNOWN = ("in_doubt", "abandoned", None)


@dataclass
class Verdict:
    """Counts for the table, and every violation in words."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
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
) -> Verdict:
    """Hold everything against everything."""
    verdict = Verdict()
    _events(verdict, webhooks, ledger)
    _inputs(verdict, messages, ledger)
    _replies(verdict, messages, ledger, happened)
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
        in_time = [number for number, event in zip(got, given, strict=True) if not event.late]
        late += len(got) - len(in_time)
        if in_time != [number for number in numbers if number in in_time]:
            verdict.wrong(f"{talk}: messages were handled in another order and not marked late: {in_time}")
        _script(verdict, talk, [event.text or "" for event in given], ledger.deliveries[talk])
    verdict.count("messages of users", sum(map(len, written.values())))
    verdict.count("given to the bot once", len({each for ids in ledger.inputs.values() for each in ids}))
    verdict.count("of these overtaken on the way and marked late", late)


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
    total = once = 0
    for talk, deliveries in ledger.deliveries.items():
        total += len(deliveries)
        for delivery in deliveries:
            if delivery.status != "sent":
                verdict.wrong(f"{talk}: reply {delivery.id} ended as {delivery.status} ({delivery.reason})")
        once += _in_order(verdict, talk, deliveries, arrived[talk], happened)
    verdict.count("replies", total)
    verdict.count("replies tried more than once", sum(len(d.attempts) > 1 for d in _all(ledger)))
    verdict.count("replies arrived, in order", once)
    verdict.count("arrived twice, could not be excluded", len(verdict.explained))


def _all(ledger: Ledger) -> list[Delivery]:
    return [delivery for deliveries in ledger.deliveries.values() for delivery in deliveries]


def _in_order(
    verdict: Verdict,
    talk: str,
    deliveries: Sequence[Delivery],
    arrived: Sequence[MessageView],
    happened: Sequence[Happened],
) -> int:
    """Walk along what arrived; how many replies came in their order."""
    sent = [delivery for delivery in deliveries if delivery.status == "sent"]
    place = 0
    first: dict[int, MessageView] = {}
    for message in arrived:
        if place < len(sent) and sent[place].text == message.text:
            first[sent[place].id] = message
            place += 1
            continue
        earlier = [each for each in sent[:place] if each.text == message.text and len(each.attempts) > 1]
        if earlier:
            _double(verdict, talk, earlier[-1], first[earlier[-1].id], message, happened)
            continue
        later = next((i for i in range(place, len(sent)) if sent[i].text == message.text), None)
        if later is None:
            verdict.wrong(f"{talk}: {message.text!r} arrived though it was sent once, before")
            continue
        for missing in sent[place:later]:
            verdict.wrong(f"{talk}: {missing.text!r} (reply {missing.id}) did not arrive in its place")
        first[sent[later].id] = message
        place = later + 1
    for missing in sent[place:]:
        verdict.wrong(f"{talk}: {missing.text!r} (reply {missing.id}) never arrived")
    return len(first)


def _double(
    verdict: Verdict,
    talk: str,
    delivery: Delivery,
    copy: MessageView,
    again: MessageView,
    happened: Sequence[Happened],
) -> None:
    """A reply came twice: was there a way to know, before it was sent again, that it had arrived?"""
    what = f"{talk}: reply {delivery.id} ({delivery.text!r}) arrived twice"
    attempts = delivery.attempts
    if all(attempt.outcome not in UNKNOWN for attempt in attempts[:-1]):
        outcomes = [attempt.outcome for attempt in attempts]
        verdict.wrong(f"{what} though no attempt was in doubt: {outcomes}")
        return
    # The attempt that made the second copy is the last one that began before it arrived.
    begun = [attempt.started for attempt in attempts if attempt.started < again.arrived_ns]
    second = begun[-1] if begun else again.arrived_ns
    readable = copy.arrived_ns + hidden(copy.arrived_ns, happened)
    behind = (again.arrived_ns - copy.arrived_ns) / 1e9
    if readable > second - READING or len(begun) < 2:
        verdict.explained.append(
            f"{what}, {behind:.1f} s apart: the first copy could be read only "
            f"{(readable - second) / 1e9:.1f} s after the next attempt had begun"
        )
    else:
        outcomes = [attempt.outcome for attempt in attempts]
        verdict.wrong(f"{what}, {behind:.1f} s apart, though the first could be read in time: {outcomes}")


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
