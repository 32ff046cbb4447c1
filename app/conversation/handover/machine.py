"""The state machine of a handover: pure, and indifferent to the order in which 8x8's events arrive.

        ask                QUEUED                joined, or an agent's message
    ──────────▶ requested ───────▶ queued ──────────────────────▶ active ◀─────────────┐
                    │                ▲ └── (or without QUEUED) ───┘  │ ▲               │
                    │                │                               │ │ joined        │ joined
                    │                │ QUEUED                        │ │               │ meanwhile
                    │                └──────────── transferred ◀─────┤─┘ TRANSFER      │
                    │                                                │                 │
                    │                                                │ left: wait 3 s ─┘
                    │                                                │ nobody came, and it waits in no queue
                    ▼                                                ▼
       cancelled · failed · timed_out                            completed

    queued, or active: nothing is heard for long, and 8x8 shows nobody ──▶ failed, or completed

The state is computed from all signals so far, sorted by the time of their events (within a millisecond, in
the order that makes sense). So an event that comes late, twice or before its forerunner leads to the same
state as if all had come in order. An agent's `left` alone says nothing: TRANSFER, QUEUED or another `joined`
may come before or after it. It starts a wait; when that is over, the conversation as 8x8 shows it decides.

Where the handover before was ended from here and its conversation taken back, an agent may still be on the
way out of that one. So the next has a *gate*: until 8x8 tells of the queue that was asked for, or was asked
who has the conversation, what agents do belongs to the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

#: How long after an agent left it is decided whether that was the end.
LEFT_WAIT = timedelta(seconds=3)

#: What comes first of the same millisecond; what isn't named comes in between.
_RANK = {"transfer": 0, "enqueued": 1, "queued": 1, "left": 3, "returned": 4, "looked": 5, "found": 5}
_RANK |= {"over": 6, "ended": 6}

OPEN = frozenset({"requested", "queued", "active", "transferred"})
ENDS = frozenset({"completed", "cancelled", "failed", "timed_out"})


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that happened to a handover.

    kind: queued · joined (or wrote: an agent is there) · left · transfer · what CONVERSATION_UPDATE says of
    the assignment, which it repeats on any change: enqueued, assigned, returned (to a script) · looked (the
    wait after a `left` is over) · found (so it is after a silence) · over (8x8 says that the conversation is)
    · ended (by us). `value`: the queue of queued and enqueued, who has it where it was looked or found, the
    status of ended.
    """

    kind: str
    at: datetime
    agent: str | None = None
    value: str | None = None
    reason: str | None = None
    back: bool = False
    """Of an end: the conversation was assigned back."""

    def to_json(self) -> dict[str, Any]:
        """For the database."""
        parts = {"agent": self.agent, "value": self.value, "reason": self.reason, "back": self.back or None}
        given = {name: part for name, part in parts.items() if part is not None}
        return {"kind": self.kind, "at": self.at.isoformat(), **given}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Signal:
        """From the database."""
        return cls(
            kind=value["kind"],
            at=datetime.fromisoformat(value["at"]),
            agent=value.get("agent"),
            value=value.get("value"),
            reason=value.get("reason"),
            back=bool(value.get("back")),
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """A handover's state. Times are those of the events."""

    requested_at: datetime
    status: str = "requested"
    queued_at: datetime | None = None
    active_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    transfers: int = 0
    agents: tuple[str, ...] = ()
    """Everyone who joined, in order."""
    present: frozenset[str] = field(default_factory=frozenset)
    """Who is there now; "" stands for an agent whose id isn't known."""
    leaving_since: datetime | None = None
    """The last agent left, and whether that was the end is not known yet."""
    assigned: bool = False
    """8x8 said that an agent has it: from then on an assignment to a queue is news."""
    wrote: bool = False
    """An agent has written."""
    gate: str | None = None
    """The queue that 8x8 has to tell of before anything counts that agents do."""

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.status in OPEN

    @property
    def control(self) -> str:
        """Who answers the user: bot, queue (nobody yet) or human."""
        if not self.open:
            return "bot"
        return "human" if self.status == "active" else "queue"

    @property
    def waiting_seconds(self) -> float | None:
        """From asking to the first agent, or to the end without one."""
        until = self.active_at or self.ended_at
        return None if until is None else max((until - self.requested_at).total_seconds(), 0.0)

    @property
    def handling_seconds(self) -> float | None:
        """From the first agent to the end."""
        if self.active_at is None or self.ended_at is None:
            return None
        return max((self.ended_at - self.active_at).total_seconds(), 0.0)


def fold(
    requested_at: datetime,
    signals: Iterable[Signal],
    *,
    since: datetime | None = None,
    gate: str | None = None,
) -> Machine:
    """The state after all these signals, in whatever order they are given.

    Signals older than `since` (when it was asked for, unless told) belong to an earlier handover; so may
    those before 8x8 has told of the queue `gate`.
    """
    machine = Machine(requested_at, gate=gate)
    since = since or requested_at
    for signal in sorted(signals, key=lambda signal: (signal.at, _RANK.get(signal.kind, 2))):
        if machine.open and signal.at >= since:
            machine = _after(machine, signal)
    return machine


def _after(machine: Machine, signal: Signal) -> Machine:
    if machine.gate is not None:
        if not _opens(machine.gate, signal):
            return machine
        machine = replace(machine, gate=None)
    match signal.kind:
        case "queued":
            return _queued(machine, signal)
        case "joined":
            return _joined(machine, signal)
        case "wrote":
            return replace(_seen(machine, signal), wrote=True)
        case "assigned":
            return _assigned(machine, signal)
        case "enqueued" if (
            machine.status != "active" or machine.assigned or machine.leaving_since is not None
        ):
            return _queued(machine, signal)
        case "left":
            return _left(machine, signal)
        case "transfer":
            return _transferred(machine)
        case "returned" if machine.status in ("active", "transferred"):
            return _ended(machine, "completed", signal.reason, machine.leaving_since or signal.at)
        case "looked":
            return _looked(machine, signal)
        case "found" if signal.value == "queue":
            return _queued(machine, signal)
        case "found" if signal.value == "agent":
            return replace(_seen(machine, signal), assigned=True)
        case "over":
            status = "completed" if machine.status == "active" else "cancelled"
            return _ended(machine, status, signal.reason, machine.leaving_since or signal.at)
        case "ended" if signal.value in ENDS:
            left = machine.leaving_since if signal.value == "completed" else None
            return _ended(machine, signal.value, signal.reason, left or signal.at)
        case _:
            return machine


def _opens(gate: str, signal: Signal) -> bool:
    """Whether this is surely not of the handover before."""
    if signal.kind in ("queued", "enqueued"):
        return signal.value in (None, gate)
    return signal.kind in ("looked", "found", "over", "ended")


def _queued(machine: Machine, signal: Signal) -> Machine:
    machine = _transferred(machine)
    return replace(machine, status="queued", queued_at=machine.queued_at or signal.at)


def _joined(machine: Machine, signal: Signal) -> Machine:
    agent = signal.agent or ""
    agents = machine.agents if not agent or agent in machine.agents else (*machine.agents, agent)
    present = (machine.present - {""}) | {agent} if agent or not machine.present else machine.present
    return replace(
        machine,
        status="active",
        active_at=machine.active_at or signal.at,
        agents=agents,
        present=present,
        leaving_since=None,
    )


def _assigned(machine: Machine, signal: Signal) -> Machine:
    """8x8 repeats an assignment on any change: of an agent who was there it may be an old one."""
    known = (signal.agent or "") in machine.agents
    if known and (machine.status == "transferred" or machine.leaving_since is not None):
        return machine
    if known and machine.status == "active":
        return replace(machine, assigned=True)
    return replace(_seen(machine, signal), assigned=True)


def _seen(machine: Machine, signal: Signal) -> Machine:
    """An agent is there, though not by way of joining.

    It stands for no member: were it one of those under another name, nobody would ever seem to leave. Too few
    are no harm, since a `left` only makes us look.
    """
    return replace(_joined(machine, signal), present=machine.present or frozenset({""}))


def _left(machine: Machine, signal: Signal) -> Machine:
    if machine.status != "active" or machine.leaving_since is not None:
        return machine
    agent = signal.agent or ""
    if agent in machine.present:
        present = machine.present - {agent}
    elif "" in machine.present or (not agent and len(machine.present) == 1):
        present = frozenset()
    else:
        return machine  # one who left when the conversation was moved on
    return replace(machine, present=present, leaving_since=None if present else signal.at)


def _transferred(machine: Machine) -> Machine:
    if machine.status != "active":
        return machine
    return replace(
        machine,
        status="transferred",
        transfers=machine.transfers + 1,
        present=frozenset(),
        leaving_since=None,
        assigned=False,
    )


def _looked(machine: Machine, signal: Signal) -> Machine:
    if machine.leaving_since is None:
        return machine
    if signal.value == "queue":
        return _queued(machine, signal)
    if signal.value == "agent":
        return replace(machine, leaving_since=None, present=frozenset({signal.agent or ""}))
    return _ended(machine, "completed", signal.reason, machine.leaving_since)


def _ended(machine: Machine, status: str, reason: str | None, at: datetime) -> Machine:
    return replace(
        machine, status=status, reason=reason, ended_at=at, present=frozenset(), leaving_since=None
    )
