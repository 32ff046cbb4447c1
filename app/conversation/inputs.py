"""Which events are input for the bot, and when a session is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.conversation.handover.opening import cancels
from app.conversation.notes import is_older
from app.conversation.state import ConversationState, WaitingEvent
from app.endpoints import Endpoint
from app.gateway.meaning import Injected, Meaning, StateChange, UserInput, interpret


@dataclass(frozen=True, slots=True)
class Input:
    """An event that the bot gets, as a message."""

    event: WaitingEvent
    meaning: Meaning
    message: dict[str, Any]

    @property
    def is_activity(self) -> bool:
        """Whether it is an activity that 8x8 does not document."""
        return isinstance(self.meaning, UserInput) and self.meaning.is_activity

    def content(self, state: ConversationState) -> dict[str, Any]:
        """The journal's entry: the message, and the contact where it changed since the bot last saw it."""
        content: dict[str, Any] = {"message": self.message}
        if state.dialog is not None and state.contact != known_contact(state):
            content["contact"] = state.contact
        return content


def known_contact(state: ConversationState) -> dict[str, Any]:
    """The contact as the open dialog last saw it."""
    assert state.dialog is not None
    for entry in reversed(state.dialog.entries):
        if entry.kind == "input" and "contact" in entry.content:
            contact: dict[str, Any] = entry.content["contact"]
            return contact
    return state.dialog.contact_data


def meaning_of(event: WaitingEvent) -> Meaning:
    """What the event means; one whose body didn't parse means nothing."""
    return interpret(event.payload or {})


def as_input(
    state: ConversationState, endpoint: Endpoint, event: WaitingEvent, meaning: Meaning
) -> Input | None:
    """The event as input for the bot, if it is one as things stand now.

    The button that stops a handover is none, also when it is clicked again or when none is open any more.
    """
    if state.control != "bot" or (isinstance(meaning, UserInput) and cancels(meaning.message)):
        return None
    if isinstance(meaning, UserInput) and meaning.is_activity and not _is_awaited(state, endpoint, event):
        return None
    if isinstance(meaning, UserInput | Injected):
        return Input(event, meaning, meaning.message)
    if isinstance(meaning, StateChange) and starts(state, endpoint, event, meaning):
        return Input(event, meaning, start_message(meaning))
    return None


def _is_awaited(state: ConversationState, endpoint: Endpoint, event: WaitingEvent) -> bool:
    """Whether a dialog is open for an activity. It starts none: a bot that answers it may cause the next."""
    return state.dialog is not None and not session_expired(state, endpoint, event)


def starts(state: ConversationState, endpoint: Endpoint, event: WaitingEvent, meaning: StateChange) -> bool:
    """Whether "conversation active" lets the bot speak first: once a session, never while an agent has it."""
    if not endpoint.accept_conversation_active or meaning.state != "active" or is_older(state, event.at):
        return False
    assignment = meaning.assignment or state.assignment or {}
    if assignment.get("type") == "agent" or state.dialog is not None:
        return False
    session = state.session
    return session is None or not session.active_started or session_expired(state, endpoint, event)


def start_message(meaning: StateChange) -> dict[str, Any]:
    """What the bot gets when it is to speak first."""
    data = {
        "user": meaning.user,
        "channel": meaning.channel,
        "assignment": meaning.assignment,
        "msisdn": meaning.msisdn,
    }
    return {"kind": "start", "text": "", "payload": None, "data": data, "attachments": [], "cards": []}


def find_input(state: ConversationState, endpoint: Endpoint, waiting: list[WaitingEvent]) -> Input | None:
    """The first waiting event that is input as things stand now."""
    for event in waiting:
        found = as_input(state, endpoint, event, meaning_of(event))
        if found is not None:
            return found
    return None


def session_expired(state: ConversationState, endpoint: Endpoint, event: WaitingEvent) -> bool:
    """Whether the session ended before this input arrived. Only a user's input tells."""
    return not is_call(event) and session_over(state, endpoint, event.received_at)


def session_over(state: ConversationState, endpoint: Endpoint, moment: datetime) -> bool:
    """Whether the session's time is over at that moment.

    Judged between user inputs by when they arrived; never during a handover, whose end counts like an input,
    or while a `receive` with a timeout still runs. (A step that runs keeps the input waiting, so it can't
    expire a session either.)
    """
    session = state.session
    if session is None or not endpoint.session_expiration or state.control != "bot":
        return False
    timer = state.timer("receive")
    if timer is not None and timer.due_at >= moment:
        return False
    since = session.last_input_at or session.started_at
    if state.ended_handover is not None:
        since = max(since, state.ended_handover.ended_at)
    return moment - since > timedelta(seconds=endpoint.session_expiration)


def is_call(event: WaitingEvent) -> bool:
    """Whether a service caused the event, not the user."""
    return event.type.startswith("PARLEY_")


def receive_timer_due(state: ConversationState, moment: datetime) -> bool:
    """Whether the bot's `receive(timeout=)` was over before `moment`."""
    timer = state.timer("receive")
    return timer is not None and timer.due_at < moment and state.control == "bot"
