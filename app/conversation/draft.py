"""A draft of the next transaction: memory changed and the rows that say so, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.conversation.changes import Changes, Row
from app.conversation.chosen import last_turn
from app.conversation.ids import IdPools
from app.conversation.journal import Entry
from app.conversation.language import languages
from app.conversation.privacy.lines import named, shaped
from app.conversation.state import ConversationState, DialogState, SessionState, TimerState, WaitingEvent
from app.endpoints import Endpoint
from app.gateway.outgoing import files_of
from app.sensitive import Sensitive

#: How long after a send begins another worker may look whether it arrived.
DOUBT_AFTER = timedelta(seconds=2)


#: What a transcript keeps of a message of the bot, beside its text.
_SHOWN = ("quick_replies", "card", "raw")
_OF_FILE = ("name", "type", "size")

#: Journal entries that a turn of the bot begins with.
_TURNS = ("input", "timeout", "outcome", "signal")


@dataclass(slots=True)
class Draft:
    """Gathers one transaction. Nothing is written until it is committed."""

    state: ConversationState
    endpoint: Endpoint
    ids: IdPools
    now: datetime
    changes: Changes = field(default_factory=Changes)
    muted: bool = False
    """Of a turn that began while the endpoint is silent: what the bot says is withheld."""
    drive: bool = False
    """Something was journaled for the open dialog: the bot has a turn."""
    _updated_session: Row | None = None
    _event_id: int | None = None

    # events

    def handled(self, event: WaitingEvent, outcome: str) -> None:
        """The event needs no further handling."""
        state = self.state
        before = state.ended_session
        late = state.handled_at is not None and event.at < state.handled_at
        if not late:
            state.handled_at = event.at
            self.changes.conversation["handled_at"] = event.at
        self.changes.handled.append(
            {
                "event": event.id,
                "outcome": outcome,
                "late": late,
                "session_id": state.session.id if state.session else None,
                "dialog_id": state.dialog.id if state.dialog else None,
            }
        )
        if state.session is None and (self.endpoint.erases or (before and before.private)):
            self.changes.erase_events.append(event.id)

    def transcript(
        self,
        author: str,
        *,
        at: datetime,
        text: str | None,
        kind: str = "text",
        content: dict[str, Any] | None = None,
        event_id: int | None = None,
        delivery_id: int | None = None,
        author_id: str | None = None,
        late: bool = False,
    ) -> None:
        """Add a line to the transcript."""
        state = self.state
        line = shaped(
            self.endpoint,
            state,
            {
                "conversation_id": state.id,
                "session_id": state.session.id if state.session else None,
                "dialog_id": state.dialog.id if state.dialog else None,
                "event_id": event_id,
                "delivery_id": delivery_id,
                "handover_id": state.handover.id if state.handover else None,
                "author": author,
                "author_id": author_id,
                "kind": kind,
                "text": text,
                "content": content or {},
                "language": state.session.language if state.session else None,
                "late": late,
                "at": at,
            },
        )
        if line is not None:
            self.changes.messages.append(line)

    # sessions

    def start_session(self, at: datetime) -> SessionState:
        """Open the next session; the one before must have ended."""
        state = self.state
        state.sessions += 1
        session = SessionState(id=self.ids.session.take(), number=state.sessions, data={}, started_at=at)
        session.language, session.locale = languages(state.contact.get("language") or self.endpoint.locale)
        state.session = session
        state.heard = None if state.heard is None else Sensitive()
        self.changes.contact_seen = state.contact_id
        self.changes.conversation["sessions"] = state.sessions
        self.changes.sessions.append(
            {
                "id": session.id,
                "conversation_id": state.id,
                "number": session.number,
                "data": {},
                "started_at": at,
                "last_input_at": None,
                "active_started": False,
                "language": session.language,
                "locale": session.locale,
            }
        )
        return session

    def save_session(self, *, ended: str | None = None) -> None:
        """Write the open session as it is now; `ended` closes it for that reason."""
        session = self.state.session
        if session is None:
            return
        values: Row = {
            "data": session.data,
            "last_input_at": session.last_input_at,
            "divergences": session.divergences,
            "active_started": session.active_started,
            "ended_at": self.now if ended else None,
            "end_reason": ended,
            "storage": session.storage,
            "private": session.private,
            "erase": session.private or self.endpoint.erases,
            "language": session.language,
            "locale": session.locale,
        }
        for row in self.changes.sessions:
            if row["id"] == session.id:
                row.update(values)
                return
        if self._updated_session is None or self._updated_session["session"] != session.id:
            self._updated_session = {"session": session.id}
            self.changes.session_updates.append(self._updated_session)
        self._updated_session.update(values)

    def end_session(self, reason: str) -> None:
        """Close the session with its dialog and their timers."""
        if self.state.dialog is not None:
            self.end_dialog("closed", None)
        for timer in list(self.state.timers):
            self.end_timer(timer, "cancelled")
        self.save_session(ended=reason)
        session = self.state.session
        if session is not None:
            self.state.ended_session = session
            self.state.session, self.state.last_words = None, []
            if session.private or self.endpoint.erases:
                self.changes.erased.append(session.id)
            if not self.endpoint.contact_profiles:
                self.changes.forget_contact = True

    # dialogs

    def start_dialog(self, seed: int) -> DialogState:
        """Open a dialog of the endpoint's bot in the open session."""
        state = self.state
        assert state.session is not None
        dialog = DialogState(
            id=self.ids.dialog.take(),
            bot=self.endpoint.flow,
            seed=seed,
            started_at=self.now,
            session_data=dict(state.session.data),
            contact_data=dict(state.contact),
        )
        state.dialog = dialog
        self.changes.dialogs.append(
            {
                "id": dialog.id,
                "conversation_id": state.id,
                "session_id": state.session.id,
                "bot": dialog.bot,
                "seed": seed,
                "status": "running",
                "session_data": dialog.session_data,
                "contact_data": dialog.contact_data,
                "started_at": dialog.started_at,
                "ended_at": None,
                "error": None,
                "private": False,
            }
        )
        return dialog

    def in_private(self) -> bool:
        """Whether the open dialog waits within a private stretch, or its handover was asked for in one."""
        dialog, handover = self.state.dialog, self.state.handover
        return (dialog is not None and dialog.private) or (handover is not None and handover.private)

    def dialog_status(self, status: str, *, private: bool | None = None) -> None:
        """The open dialog runs or waits; `private`: for what stays out of the transcript."""
        dialog = self.state.dialog
        if dialog is None:
            return
        private = dialog.private if private is None else private
        if dialog.status != status or dialog.private != private or self._is_new(dialog):
            dialog.status, dialog.private = status, private
            self._write_dialog(dialog, status, None, None)

    def end_dialog(self, status: str, error: str | None) -> None:
        """Close the open dialog with its timers."""
        dialog = self.state.dialog
        assert dialog is not None
        self._event_id = self.answered()
        for timer in list(self.state.timers):
            if timer.dialog_id == dialog.id:
                self.end_timer(timer, "cancelled")
        self._write_dialog(dialog, status, error, self.now)
        self.state.dialog, self.state.last_words = None, last_turn(dialog.entries)
        handover = self.state.handover
        if handover is not None and not handover.machine.open:
            self.state.handover = None  # nobody is left to hear of its end

    def _is_new(self, dialog: DialogState) -> bool:
        return any(row["id"] == dialog.id for row in self.changes.dialogs)

    def _write_dialog(
        self, dialog: DialogState, status: str, error: str | None, ended: datetime | None
    ) -> None:
        values = {"status": status, "error": error, "ended_at": ended, "private": dialog.private}
        changes = self.changes
        known = next((row for row in changes.dialogs if row["id"] == dialog.id), None)
        known = known or next((row for row in changes.dialog_updates if row["dialog"] == dialog.id), None)
        if known is None:
            changes.dialog_updates.append({"dialog": dialog.id, **values})
        else:
            known.update(values)

    def journal(self, entry: Entry, position: int | None = None) -> int:
        """Append an entry to the open dialog's journal; its position."""
        dialog = self.state.dialog
        assert dialog is not None
        position = len(dialog.entries) if position is None else position
        if position != len(dialog.entries):
            raise AssertionError("a journal entry out of place")
        dialog.entries.append(entry)
        self.changes.journal_entry(dialog.id, position, entry)
        return position

    # timers

    def set_timer(self, kind: str, due_at: datetime, *, position: int | None = None) -> None:
        """Open a timer; an open one of the same kind is replaced."""
        open_timer = self.state.timer(kind)
        if open_timer is not None:
            if open_timer.position == position and open_timer.due_at == due_at:
                return
            self.end_timer(open_timer, "cancelled")
        dialog = self.state.dialog if kind == "receive" else None  # a handover outlives its dialog
        timer = TimerState(
            id=self.ids.timer.take(),
            kind=kind,
            due_at=due_at,
            dialog_id=dialog.id if dialog else None,
            position=position,
        )
        self.state.timers.append(timer)
        self.changes.timers.append(
            {
                "id": timer.id,
                "conversation_id": self.state.id,
                "dialog_id": timer.dialog_id,
                "kind": kind,
                "position": position,
                "due_at": due_at,
                "ended_at": None,
                "outcome": None,
            }
        )

    def end_timer(self, timer: TimerState, outcome: str) -> None:
        """Close a timer as fired or cancelled."""
        self.state.timers.remove(timer)
        for row in self.changes.timers:
            if row["id"] == timer.id:
                row.update({"ended_at": self.now, "outcome": outcome})
                return
        self.changes.end_timer(timer.id, outcome, self.now)

    # deliveries

    def deliver(
        self,
        kind: str,
        content: dict[str, Any],
        *,
        position: int | None = None,
        line: str = "text",
        max_age: float = math.inf,
    ) -> int:
        """Queue one thing to send, behind all that were queued before; its id.

        `line`: its kind of line. `max_age`: seconds after which it is not tried again, if sooner than usual.
        """
        state = self.state
        muted = self.muted and kind == "message"
        delivery_id = self.ids.delivery.take()
        self.changes.deliveries.append(
            {
                "id": delivery_id,
                "endpoint": state.endpoint,
                "conversation_id": state.id,
                "session_id": state.session.id if state.session else None,
                "dialog_id": state.dialog.id if state.dialog else None,
                "event_id": self.answered(),
                "position": position,
                "kind": kind,
                "content": content,
                "status": "withheld" if muted else "waiting",
                "attempts": 0,
                "created_at": self.now,
                "expires_at": self.now + timedelta(seconds=min(max_age, self.endpoint.deliveries.max_age)),
                "next_attempt_at": None,
                "ended_at": self.now if muted else None,
                "reason": "the endpoint is silent" if muted else None,
            }
        )
        if kind == "message":
            self.take_files(files_of(content), delivery_id)
        if kind == "message" and not muted and not content.get("private"):
            extra = {name: content[name] for name in _SHOWN if content.get(name)}
            if files := content.get("attachments"):
                extra["attachments"] = [{name: each[name] for name in _OF_FILE} for each in files]
            text = content.get("text")
            self.transcript("bot", at=self.now, text=text, kind=line, content=extra, delivery_id=delivery_id)
        return delivery_id

    def take_files(self, keys: Iterable[str], delivery_id: int | None = None) -> None:
        """Files that the bot says, and the delivery that they go with."""
        session = self.state.session.id if self.state.session else None
        for key in keys:
            self.changes.take_file(key, self.state.id, session, delivery_id)

    def withhold(self, reason: str, *, handover: int | None = None) -> None:
        """Withhold what was queued in this transaction: messages of the bot, or all for that handover."""
        for row in self.changes.deliveries:
            content = row["content"]
            if handover is None:
                meant = row["kind"] == "message" and not content.get("during_handover")
            else:
                meant = content.get("handover") == handover and row["kind"] != "return"
            if meant and row["status"] == "waiting":
                row.update({"status": "withheld", "reason": reason, "ended_at": self.now})

    def answers(self, event: WaitingEvent) -> None:
        """What is delivered from here on answers this event."""
        self._event_id = event.id

    def answered(self) -> int | None:
        """The event that is being answered; after a step or a restart too, where the journal knows it."""
        if self._event_id is None and self.state.dialog is not None:
            fed = (each for each in reversed(self.state.dialog.entries) if each.kind in _TURNS)
            newest = next(fed, None)
            return None if newest is None else newest.event_id
        return self._event_id

    # people

    def mark(self, entry: Entry, position: int) -> None:
        """What the bot noted of its turn, for those who measure: understood or not, or a name of its own."""
        state, value = self.state, entry.content["value"]
        if entry.name != "understood":
            value = named(self.endpoint, state, value)
        self.changes.marks.append(
            {
                "endpoint": state.endpoint,
                "conversation_id": state.id,
                "session_id": state.session.id if state.session else None,
                "dialog_id": state.dialog.id if state.dialog else None,
                "event_id": self.answered(),
                "position": position,
                "kind": entry.name,
                "value": value,
                "at": entry.at,
            }
        )

    def incident(self, kind: str, **detail: Any) -> None:
        """Record something a person should look at."""
        self.changes.incident(kind, endpoint=self.state.endpoint, conversation_id=self.state.id, **detail)
