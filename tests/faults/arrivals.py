"""Which request brought which message: each copy that arrived belongs to one attempt of a delivery.

A conversation's requests are made one after the other, so time tells, also where texts are the same. An
attempt that 8x8 answered with 2xx brought the copy that came between its beginning and its end. One whose
answer was lost brought one copy or none, at any time until the connection was given up. Others: none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.sandbox.schema import MessageView
from tests.faults.ledger import Attempt, Delivery

#: How an attempt ended of which nobody knew whether it arrived.
UNKNOWN = ("in_doubt", "abandoned", None)
#: A request that nobody waits for any more may still be stored so much later. (ns)
LONGEST = 15_000_000_000
#: What two clocks read in one machine may differ by. (ns)
CLOCKS = 50_000_000


@dataclass(slots=True)
class Matched:
    """What came of one conversation's deliveries."""

    copies: dict[int, list[tuple[Attempt, MessageView]]] = field(default_factory=lambda: defaultdict(list))
    """Delivery → its copies with the attempts that brought them, in the order they arrived."""
    strangers: list[MessageView] = field(default_factory=list)
    """Messages that no attempt explains."""
    empty: list[Delivery] = field(default_factory=list)
    """Deliveries one of whose attempts was answered with 2xx though nothing had arrived."""


def match(deliveries: Sequence[Delivery], arrived: Sequence[MessageView]) -> Matched:
    """Give each copy that arrived in one conversation to the attempt that brought it."""
    matched = Matched()
    left = list(arrived)
    attempts = [(delivery, attempt) for delivery in deliveries for attempt in delivery.attempts]
    for delivery, attempt in attempts:
        if attempt.outcome != "sent":
            continue
        copy = next((each for each in left if _is(delivery, each) and _within(attempt, each)), None)
        if copy is None:
            matched.empty.append(delivery)
        else:
            left.remove(copy)
            matched.copies[delivery.id].append((attempt, copy))
    unknown = [(delivery, attempt) for delivery, attempt in attempts if attempt.outcome in UNKNOWN]
    for copy in left:
        found = [each for each in unknown if _is(each[0], copy) and _may_be(each[1], copy)]
        if not found:
            matched.strangers.append(copy)
            continue
        delivery, attempt = max(found, key=lambda each: each[1].started)
        unknown.remove((delivery, attempt))
        matched.copies[delivery.id].append((attempt, copy))
    for copies in matched.copies.values():
        copies.sort(key=lambda each: each[1].arrived_ns)
    return matched


def _is(delivery: Delivery, copy: MessageView) -> bool:
    return delivery.text == (copy.text or "")


def _within(attempt: Attempt, copy: MessageView) -> bool:
    end = attempt.finished if attempt.finished is not None else attempt.started + LONGEST
    return attempt.started - CLOCKS <= copy.arrived_ns <= end + CLOCKS


def _may_be(attempt: Attempt, copy: MessageView) -> bool:
    return attempt.started - CLOCKS <= copy.arrived_ns <= attempt.started + LONGEST
