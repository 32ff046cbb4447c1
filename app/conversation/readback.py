"""Did a message arrive? Settled from the conversation as 8x8 shows it.

8x8 gives no id for a message that was sent and knows no idempotency key. So the bot's messages that are
there are assigned, in order and each once, to the deliveries that were sent; if one more is there than those
account for, it is the one in doubt. Texts are compared first; where 8x8 changed texts, the numbers decide.
"""

from __future__ import annotations

from collections.abc import Sequence


def arrived(there: Sequence[str], sent: Sequence[str], doubtful: str) -> bool:
    """Whether the delivery `doubtful` is among the messages `there`.

    `there`: texts of the bot's messages in the conversation, oldest first. `sent`: texts of the deliveries
    known to be sent over the same stretch, oldest first, without the doubtful one.
    """
    messages = [_plain(text) for text in there]
    deliveries = [_plain(text) for text in sent]
    wanted = _plain(doubtful)
    unexplained = list(messages)
    missing = 0
    for text in deliveries:
        if text in unexplained:
            unexplained.remove(text)
        else:
            missing += 1
    if wanted in unexplained:
        return True
    return len(unexplained) > missing and wanted not in messages


def _plain(text: str) -> str:
    return " ".join((text or "").split())
