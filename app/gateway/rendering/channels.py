"""The channels that 8x8 reports, and how much of a text one message of each takes.

8x8 publishes no limits. WhatsApp's, Facebook's, Viber's and RCS's are those that these channels publish
themselves; the others are Parley's own choice: an SMS of ten parts, a text that is still read in one go, all
that a bot can say in one e-mail.
"""

from __future__ import annotations

LIMITS = {
    "WebChat": 4000,
    "WhatsApp": 4096,
    "SMS": 1530,
    "Facebook": 2000,
    "Viber": 1000,
    "RCS": 3072,
    "ChatAPI": 4000,
    "Email": 10_000,
}
LIMIT = 1000
"""Of a channel that is not known."""
SHORT = min(LIMIT, *LIMITS.values())
"""What every channel takes."""


def shows_cards(channel: str | None) -> bool:
    """Whether it shows quick replies and cards. While 8x8 has told no channel, what it documents is sent."""
    return channel is None or channel == "WebChat"


#: Channels whose messages carry files. 8x8 publishes no list; these have files of their own, an SMS hasn't.
_FILES = frozenset({"WebChat", "WhatsApp", "Facebook", "Viber", "RCS", "ChatAPI", "Email"})


def shows_files(channel: str | None) -> bool:
    """Whether a message carries files; elsewhere it has links to them."""
    return channel is None or channel in _FILES


def limit(channel: str | None) -> int:
    """Characters of one message."""
    return LIMITS["WebChat"] if channel is None else LIMITS.get(channel, LIMIT)
