"""The journal of a dialog: what it took and gave, in order. An entry's position is its place, from 0.

| kind | name | content |
| --- | --- | --- |
| input | | {"message": …} and, where they changed from outside, "contact" and "session" |
| timeout | | {}: the wait of a `receive(timeout=)` was over |
| output | | {"text", "quick_replies", "card", "raw"} of content.py; "attachments" or "unsaid" of needs.py |
| step | the step's | {"key": the idempotency key, "group": position of the first step that runs with it} |
| result | the step's or null | {"step": its position} and "value", "error" or "interrupted": see step.py |
| handover | | the handover's parameters |
| handover | close | {}: a handler of the bot ends its handover |
| signal | queued, active or inactive | {} or {"count"}: what happened to the handover meanwhile |
| outcome | | how the handover ended: see outcome.py |
| note | | anything; a replay skips it. Named understood, intent or goal: {"value"}, see marks.py |
| note | thinking | {"seconds"}: see indicators.py |
| note | private, drop, contact, contact_inactive | see privacy/stretch.py and contact.py |

Outputs, handovers and marks of a private stretch have `"private": true` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: What happens to a bot, and is fed to its driver.
FED = frozenset({"input", "timeout", "result", "signal", "outcome", "note"})
#: What a bot does, and its driver produces.
PRODUCED = frozenset({"output", "step", "handover", "note"})

#: The note that shows the user, before a step, that it takes a while: {"seconds"}.
THINKING = "thinking"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at` is aware UTC; `event_id` the event it came from."""

    kind: str
    name: str | None
    content: dict[str, Any]
    at: datetime
    event_id: int | None = None


def is_said(entry: Entry) -> bool:
    """Whether it is something that goes to the user: no output whose files could not be had."""
    return entry.kind == "output" and "unsaid" not in entry.content
