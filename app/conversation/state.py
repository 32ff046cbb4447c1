"""What a worker keeps in memory of a conversation it owns.

Only the owner writes these things, so memory and database agree for as long as the epoch holds. After any
error the memory is thrown away and read again: the database decides what happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.conversation.handover.machine import Machine, Signal, fold
from app.conversation.journal import Entry
from app.endpoints import Endpoint
from app.sensitive import Sensitive


@dataclass(slots=True)
class TimerState:
    """An open timer."""

    id: int
    kind: str
    due_at: datetime
    dialog_id: int | None
    position: int | None


@dataclass(slots=True)
class DialogState:
    """The open dialog and everything its replay needs."""

    id: int
    bot: str
    seed: int
    started_at: datetime
    session_data: dict[str, Any]
    contact_data: dict[str, Any]
    status: str = "running"
    private: bool = False
    """It waits within a private stretch."""
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """A message of the user or an agent during a handover, as the bot's outcome will hold it."""

    event_id: int
    at: datetime
    """By 8x8's clock."""
    message: dict[str, Any]


@dataclass(slots=True)
class HandoverState:
    """The open handover; or one that has just ended and whose outcome the dialog does not know yet."""

    id: int
    requested_at: datetime
    events_since: datetime
    queue: str | None = None
    dialog_id: int | None = None
    position: int | None = None
    signals: list[Signal] = field(default_factory=list)
    inactive_count: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    messages: list[Meanwhile] = field(default_factory=list)
    """The newest ones, as they arrived."""
    noted: list[dict[str, Any]] = field(default_factory=list)
    """What the agent was shown with the newest note."""

    @property
    def wants(self) -> list[str]:
        """What the bot has handlers for."""
        return list(self.settings.get("wants") or ())

    @property
    def private(self) -> bool:
        """The bot asked for it in a private stretch."""
        return bool(self.settings.get("private"))

    @property
    def machine(self) -> Machine:
        """Its state."""
        gate = self.queue if self.settings.get("gated") else None
        return fold(self.requested_at, self.signals, since=self.events_since, gate=gate)


@dataclass(frozen=True, slots=True)
class EndedHandover:
    """What is left to know of a handover that has ended."""

    id: int
    ended_at: datetime
    events_until: datetime | None
    """The newest event that belongs to it, by 8x8's clock: older ones mean nothing to another."""
    taken_back: bool
    """It was ended from here and the conversation assigned back: an agent may be on the way out."""
    private: bool = False
    """It was in a private stretch: what still comes of it is in no transcript."""
    shown: frozenset[str] = frozenset()
    """Fingerprints of the properties that agents were shown, in it and before."""

    @classmethod
    def of(cls, handover: HandoverState, ended_at: datetime) -> EndedHandover:
        """What is left of it."""
        signals = handover.signals
        events = [signal.at for signal in signals if signal.kind != "ended"]
        return cls(
            handover.id,
            ended_at,
            max(events, default=None),
            taken_back=any(signal.back for signal in signals),
            private=handover.private,
            shown=frozenset(handover.settings.get("shown", ())),
        )


@dataclass(slots=True)
class SessionState:
    """The open session."""

    id: int
    number: int
    data: dict[str, Any]
    started_at: datetime
    last_input_at: datetime | None = None
    runs: int = 0
    divergences: int = 0
    active_started: bool = False
    language: str | None = None
    locale: str | None = None
    storage: dict[str, Any] = field(default_factory=dict)
    """What the endpoint's transformers keep."""
    private: bool = False
    """There was a private stretch: what its replays need is erased at its end."""


@dataclass(slots=True)
class ConversationState:
    """One owned conversation."""

    id: int
    endpoint: str
    external_id: str
    epoch: int
    channel: str | None = None
    contact_id: int | None = None
    contact_identity: str | None = None
    contact: dict[str, Any] = field(default_factory=dict)
    known_by: list[str] = field(default_factory=list)
    """Digests of what people are looked for by, of all that was told of the user."""
    state: str = "created"
    state_at: datetime | None = None
    assignment: dict[str, Any] | None = None
    control: str = "bot"
    handled_at: datetime | None = None
    sessions: int = 0
    deaths: int = 0
    due: bool = True
    """Whether something was left to do at once when it was last written."""
    session: SessionState | None = None
    ended_session: SessionState | None = None
    """The one before, or the last one where none is open."""
    dialog: DialogState | None = None
    last_words: list[Entry] = field(default_factory=list)
    """What the session's last dialog said in its last turn, where none is open: its choices still count."""
    timers: list[TimerState] = field(default_factory=list)
    handover: HandoverState | None = None
    ended_handover: EndedHandover | None = None
    """The newest handover, once it has ended."""
    heard: Sensitive | None = None
    """What was said in the open session, where an endpoint masks it: see privacy/heard.py."""
    left_running: list[UUID] = field(default_factory=list)
    """Prefect runs that a dead owner left behind."""

    def timer(self, kind: str) -> TimerState | None:
        """The open timer of that kind."""
        return next((timer for timer in self.timers if timer.kind == kind), None)


def leaves_no_text(state: ConversationState, endpoint: Endpoint) -> bool:
    """Whether what replays need of the session at hand, or of the one before, is erased with it."""
    sessions = (state.session, state.ended_session)
    return endpoint.erases or any(each is not None and each.private for each in sessions)


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """An event that has not been handled."""

    id: int
    type: str
    payload: dict[str, Any] | None
    at: datetime
    received_at: datetime
    event_id: str = ""
    """8x8's id of the event: it ties what receiver, worker and Prefect run say of a request."""
