"""What Parley's database says, read once when all is quiet."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field

from tests.faults.stage import Stage

_OPEN = """
    SELECT (SELECT count(*) FROM event WHERE processed_at IS NULL)
         + (SELECT count(*) FROM dialog WHERE status = 'running')
         + (SELECT count(*) FROM delivery WHERE status IN ('waiting', 'sending', 'in_doubt'))
"""

_EVENTS = """
    SELECT e.id, e.event_id, e.type, e.outcome, e.processed_at IS NOT NULL AS handled, e.late,
           c.external_id AS talk,
           (extract(epoch FROM e.at) * 1e9)::bigint AS at,
           (extract(epoch FROM e.received_at) * 1e9)::bigint AS received,
           COALESCE((extract(epoch FROM e.processed_at) * 1e9)::bigint, 0) AS processed,
           e.payload->'data'->>'text' AS text, e.payload->'data'->>'isEcho' = 'true' AS echo
    FROM event e LEFT JOIN conversation c ON c.id = e.conversation_id ORDER BY e.id
"""

#: The inputs the bot was given, in the order it was given them.
_INPUTS = """
    SELECT c.external_id AS talk, j.event_id FROM journal j
    JOIN dialog d ON d.id = j.dialog_id JOIN conversation c ON c.id = d.conversation_id
    WHERE j.kind = 'input' ORDER BY d.started_at, d.id, j.position
"""

_DELIVERIES = """
    SELECT d.id, c.external_id AS talk, d.content->>'text' AS text, d.status, d.reason,
           d.event_id
    FROM delivery d JOIN conversation c ON c.id = d.conversation_id
    WHERE d.kind = 'message' ORDER BY d.conversation_id, d.place
"""

_ATTEMPTS = """
    SELECT delivery_id, outcome, (extract(epoch FROM started_at) * 1e9)::bigint AS started,
           (extract(epoch FROM finished_at) * 1e9)::bigint AS finished
    FROM delivery_attempt ORDER BY delivery_id, number
"""

#: Lines of the transcript that are there twice.
_TWICE = """
    SELECT count(*) FROM (
        SELECT event_id FROM message WHERE author = 'user' AND event_id IS NOT NULL
        GROUP BY event_id HAVING count(*) > 1
        UNION ALL
        SELECT delivery_id FROM message WHERE author = 'bot' AND delivery_id IS NOT NULL
        GROUP BY delivery_id HAVING count(*) > 1) AS twice
"""


_HANDOVERS = """
    SELECT c.external_id AS talk, h.status, h.reason, h.dialog_id IS NOT NULL AS asked,
        (SELECT (extract(epoch FROM max(a.started_at)) * 1e9)::bigint FROM delivery_attempt a
         JOIN delivery d ON d.id = a.delivery_id
         WHERE d.conversation_id = h.conversation_id AND d.kind = 'assignment'
           AND (d.content->>'handover')::bigint = h.id HAVING count(*) > 1) AS assigned_again,
        (SELECT (extract(epoch FROM min(e.received_at)) * 1e9)::bigint FROM handover_transition t
         JOIN event e ON e.id = t.event_id WHERE t.handover_id = h.id) AS told
    FROM handover h JOIN conversation c ON c.id = h.conversation_id ORDER BY h.id
"""

#: What agents wrote, as it is in the transcript.
_AGENTS = "SELECT text, count(*) AS number FROM message WHERE author = 'agent' GROUP BY text"


@dataclass(frozen=True, slots=True)
class Event:
    """A stored webhook. `text` is a user's or the bot's own words, where it is a message.

    `at` is its own time, then when it was received and handled: ns since 1970, 0 if not yet.
    """

    id: int
    event_id: str
    type: str
    outcome: str | None
    handled: bool
    late: bool
    talk: str | None
    text: str | None
    echo: bool
    at: int = 0
    received: int = 0
    processed: int = 0

    @property
    def is_input(self) -> bool:
        """Whether it is something a user wrote."""
        return self.type == "MESSAGE" and not self.echo


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a delivery; when it was begun and over, in ns since 1970."""

    outcome: str | None
    started: int
    finished: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One reply, with its attempts."""

    id: int
    text: str
    status: str
    reason: str | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Handover:
    """One handover, and how it ended. Times in ns since 1970."""

    status: str
    reason: str | None = None
    asked: bool = True
    """Whether the bot asked for it; else an agent had the conversation."""
    assigned_again: int | None = None
    """When its assignment was last sent, where it was sent more than once."""
    told: int | None = None
    """When 8x8's first event of it was received."""


@dataclass
class Ledger:
    """Everything that was stored."""

    events: list[Event] = field(default_factory=list)
    inputs: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Conversation → ids of the events its bot was given."""
    deliveries: dict[str, list[Delivery]] = field(default_factory=lambda: defaultdict(list))
    handovers: dict[str, list[Handover]] = field(default_factory=lambda: defaultdict(list))
    agents: dict[str, int] = field(default_factory=dict)
    """What an agent wrote → how often it is in the transcript."""
    transcript_twice: int = 0
    incidents: dict[str, int] = field(default_factory=dict)
    claims: int = 0
    steps: list[str] = field(default_factory=list)
    """A line for each time a step ran: the message's number and the step's key."""


async def quiet(stage: Stage, *, within: float) -> int:
    """Wait until nothing is left to do; how much is left when the time is over."""
    deadline = time.monotonic() + within
    calm = 0
    while True:
        left = int((await stage.rows(_OPEN))[0][0])
        calm = calm + 1 if left == 0 else 0
        if calm == 3 or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.5)


async def read(stage: Stage) -> Ledger:
    """The ledger as it is now."""
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for row in await stage.rows(_ATTEMPTS):
        attempts[row["delivery_id"]].append(Attempt(row["outcome"], row["started"], row["finished"]))
    ledger = Ledger()
    for row in await stage.rows(_EVENTS):
        ledger.events.append(Event(**{**row, "echo": bool(row["echo"])}))
    for row in await stage.rows(_INPUTS):
        ledger.inputs[row["talk"]].append(row["event_id"])
    for row in await stage.rows(_DELIVERIES):
        ledger.deliveries[row["talk"]].append(
            Delivery(row["id"], row["text"] or "", row["status"], row["reason"], tuple(attempts[row["id"]]))
        )
    for row in await stage.rows(_HANDOVERS):
        ledger.handovers[row["talk"]].append(
            Handover(row["status"], row["reason"], row["asked"], row["assigned_again"], row["told"])
        )
    ledger.agents = {row["text"]: row["number"] for row in await stage.rows(_AGENTS)}
    ledger.transcript_twice = (await stage.rows(_TWICE))[0][0]
    for row in await stage.rows("SELECT kind, count(*) AS number FROM incident GROUP BY kind"):
        ledger.incidents[row["kind"]] = row["number"]
    ledger.steps = stage.steps.read_text().splitlines() if stage.steps.exists() else []
    ledger.claims = (await stage.rows("SELECT COALESCE(sum(epoch), 0) FROM conversation"))[0][0]
    return ledger
