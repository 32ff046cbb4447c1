"""Did a message arrive? Settled from the conversation as 8x8 shows it.

8x8 gives no id for a message that was sent and knows no idempotency key. So the bot's messages that are
there are assigned, in order and each once, to the deliveries that were sent; if one more is there than those
account for, it is the one in doubt. Texts are compared first; where 8x8 changed texts, the numbers decide.

Two things must not mislead: a second copy of an earlier message (it accounts for nothing else), and a list
that lags behind (what is known to be sent isn't there yet, so what is not there tells nothing).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: Two deliveries this far apart can't be confused by clocks that differ a little.
GAP = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Known:
    """A delivery that is known to be sent: between when its first attempt began and when that was settled."""

    text: str
    begun: datetime
    settled: datetime


def window(
    first: datetime, before: Sequence[Known], *, shown_from: datetime | None = None
) -> tuple[datetime, list[str]]:
    """From when on messages are compared, and the texts of the deliveries sent since.

    The stretch begins in a pause of at least `GAP`, so that clocks which differ a little put no message on
    the wrong side; what was in doubt for a while arrived at any time of that while. `first`: when the
    delivery in doubt was first tried. `before`: others, oldest first. `shown_from`: when the oldest message
    was made of those that are shown, where there are more.
    """
    later = first
    sent: list[str] = []
    for each in reversed(before):
        settled = max(each.settled, each.begun)
        if later - settled >= GAP or (shown_from is not None and settled <= shown_from):
            break
        sent.insert(0, each.text)
        later = min(later, each.begun)
    since = later - GAP / 2
    return since if shown_from is None else max(since, shown_from), sent


def arrived(
    there: Sequence[str], sent: Sequence[str], doubtful: str, *, earlier: Sequence[str] = ()
) -> bool | None:
    """Whether the delivery `doubtful` is among the messages `there`; None when the list lags behind.

    `there`: texts of the bot's messages in the conversation, oldest first. `sent`: texts of the deliveries
    known to be sent over the same stretch, oldest first, without the doubtful one. `earlier`: texts of those
    before that stretch, which account for a message at its edge.
    """
    messages = [_plain(text) for text in there]
    deliveries = [_plain(text) for text in sent]
    wanted = _plain(doubtful)
    if messages.count(wanted) > deliveries.count(wanted) and _is_newest(messages, deliveries, wanted):
        return True
    missing = (Counter(deliveries) - Counter(messages)).total()
    known = {wanted, *deliveries, *map(_plain, earlier)}
    changed = sum(text not in known for text in messages)
    if missing > changed:
        return None
    return changed > missing and wanted not in messages


def _is_newest(messages: Sequence[str], deliveries: Sequence[str], wanted: str) -> bool:
    """Whether the one too many can be the doubtful one, and not a second copy of an earlier delivery.

    Only where a delivery said the same before: then it must stand behind what was sent last.
    """
    if wanted not in deliveries:
        return True
    others = [text for text in deliveries if text != wanted and text in messages]
    return not others or _last(messages, wanted) > _last(messages, others[-1])


def _last(messages: Sequence[str], text: str) -> int:
    return len(messages) - 1 - list(reversed(messages)).index(text)


def _plain(text: str) -> str:
    return " ".join((text or "").split())
