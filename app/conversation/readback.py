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


def arrived(there: Sequence[str], sent: Sequence[str], doubtful: str) -> bool | None:
    """Whether the delivery `doubtful` is among the messages `there`; None when the list lags behind.

    `there`: texts of the bot's messages in the conversation, oldest first. `sent`: texts of the deliveries
    known to be sent over the same stretch, oldest first, without the doubtful one.
    """
    messages = [_plain(text) for text in there]
    deliveries = [_plain(text) for text in sent]
    wanted = _plain(doubtful)
    if messages.count(wanted) > deliveries.count(wanted) and _is_newest(messages, deliveries, wanted):
        return True
    missing = (Counter(deliveries) - Counter(messages)).total()
    changed = sum(text not in deliveries and text != wanted for text in messages)
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
