"""Everything one transaction does to a conversation, gathered in memory and written at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.conversation.journal import Entry

Row = dict[str, Any]


@dataclass(slots=True)
class Changes:
    """Rows to insert and columns to set, each list in the order it is to be written."""

    handled: list[Row] = field(default_factory=list)
    """Events: {event, outcome, late, session_id, dialog_id}."""
    messages: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    """Fields of inputs whose lines are stored already: {session, event, field}."""
    journal: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)
    files: list[Row] = field(default_factory=list)
    """That the bot said: {file_key, file_of, file_delivery, file_session}."""
    confirmed: list[Row] = field(default_factory=list)
    """Echoes: {text, at}, assigned to deliveries when written."""
    timers: list[Row] = field(default_factory=list)
    timers_ended: list[Row] = field(default_factory=list)
    """{id, outcome}."""
    sessions: list[Row] = field(default_factory=list)
    """New ones; `session_updates` are of older ones, likewise for dialogs."""
    session_updates: list[Row] = field(default_factory=list)
    dialogs: list[Row] = field(default_factory=list)
    dialog_updates: list[Row] = field(default_factory=list)
    handovers: list[Row] = field(default_factory=list)
    handover_updates: list[Row] = field(default_factory=list)
    transitions: list[Row] = field(default_factory=list)
    handovers_given_up: list[int] = field(default_factory=list)
    """What waits to be sent for them is withheld."""
    incidents: list[Row] = field(default_factory=list)
    marks: list[Row] = field(default_factory=list)
    conversation: Row = field(default_factory=dict)
    contact: Row | None = None
    """The contact's identity and profile, to be inserted or merged."""
    contact_news: Row | None = None
    """What the bot learned of the contact; None removes a field."""
    contact_inactive: bool = False
    contact_seen: int | None = None
    """The contact whose session begins."""
    seal_contact: bool = False
    """How the contact is written, where there is anything to write of it."""
    forget_contact: bool = False
    """The contact's details go with the session."""
    erased: list[int] = field(default_factory=list)
    """Sessions that have ended and whose replays' data goes with them."""
    erase_events: list[int] = field(default_factory=list)
    """Events handled outside any session, of which nothing is kept."""
    release_held: bool = False
    """Events that waited for the end of a handover wait to be handled again."""
    withhold: bool = False
    """Deliveries of messages that wait are withheld: a human answers now."""

    @property
    def only_echoes(self) -> bool:
        """Whether all that happened is that messages of the bot came back."""
        echoes = ("handled", "confirmed", "conversation", "seal_contact")
        return len(self.handled) == len(self.confirmed) and not any(
            getattr(self, name) for name in self.__slots__ if name not in echoes
        )

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__ if name != "seal_contact")

    @property
    def touches_contact(self) -> bool:
        """Whether there is anything to write of the contact."""
        return bool(
            self.contact is not None
            or self.contact_news is not None
            or self.contact_inactive
            or self.contact_seen is not None
            or self.forget_contact
        )

    def journal_entry(self, dialog_id: int, position: int, entry: Entry) -> None:
        """Append an entry to a dialog's journal."""
        self.journal.append(
            {
                "dialog_id": dialog_id,
                "position": position,
                "kind": entry.kind,
                "name": entry.name,
                "content": entry.content,
                "at": entry.at,
                "event_id": entry.event_id,
            }
        )

    def take_file(self, key: str, of: int, session: int | None, delivery: int | None) -> None:
        """The conversation's bot says a file, which goes with a delivery if with any."""
        for row in self.files:
            if row["file_key"] == key:
                row["file_delivery"] = row["file_delivery"] if delivery is None else delivery
                return
        self.files.append(
            {"file_key": key, "file_of": of, "file_delivery": delivery, "file_session": session}
        )

    def incident(self, kind: str, *, endpoint: str, conversation_id: int, **detail: Any) -> None:
        """Record something a person should look at; `detail` holds ids, types and numbers only."""
        self.incidents.append(
            {"kind": kind, "endpoint": endpoint, "conversation_id": conversation_id, "detail": detail}
        )

    def end_timer(self, timer_id: int, outcome: str, now: datetime) -> None:
        """Close a timer as fired or cancelled."""
        self.timers_ended.append({"timer": timer_id, "timer_outcome": outcome, "timer_ended": now})
