"""Inputs that do not reach the bot: an endpoint's mode or its draining sends them to agents, or nowhere."""

from __future__ import annotations

from app.conversation import dialog as dialogs
from app.conversation.draft import Draft
from app.conversation.handover.opening import ask
from app.conversation.inputs import Input, session_expired
from app.conversation.modes import Modes
from app.conversation.state import ConversationState, WaitingEvent
from app.endpoints import Endpoint
from app.gateway.meaning import StateChange, UserInput


def goes_to_bot(state: ConversationState, endpoint: Endpoint, found: Input, modes: Modes) -> bool:
    """Whether an input is the bot's, as ops want it. What services inject always is."""
    return modes.receiver(state, endpoint) == "bot" or not isinstance(found.meaning, UserInput | StateChange)


def bypasses_bot(draft: Draft, found: Input, modes: Modes) -> bool:
    """Whether ops want an input to go elsewhere; then it has gone. What services inject stays the bot's."""
    state, event, meaning = draft.state, found.event, found.meaning
    if goes_to_bot(state, draft.endpoint, found, modes):
        return False
    receiver = modes.receiver(state, draft.endpoint)
    if isinstance(meaning, StateChange):  # "conversation active", which would start the bot
        dialogs.take_note(draft, event)
        return True
    if session_expired(state, draft.endpoint, event):
        draft.end_session("expired")
    if receiver == "agents":
        private = draft.in_private()
        _make_way(draft, event)
        if not private:
            dialogs.user_line(draft, event, found.message)
        _hand_over(draft)
        draft.handled(event, "noted")
        return True
    dialogs.user_line(draft, event, found.message)
    if modes.mode(draft.endpoint.name) == "silent":
        draft.handled(event, "silent")
    else:
        draft.incident("drained")
        draft.handled(event, "drained")
    return True


def _make_way(draft: Draft, event: WaitingEvent) -> None:
    """The user goes to agents, whatever the bot was about: its dialog is closed.

    A conversation that is new while its endpoint drains gets no session, so that it stays new.
    """
    state = draft.state
    if state.dialog is not None:
        draft.end_dialog("closed", "its inputs go to agents")
    if state.session is None and draft.endpoint.enabled != "draining":
        draft.start_session(event.received_at)
    if state.session is not None:
        state.session.last_input_at = event.received_at
        draft.save_session()
    draft.answers(event)


def _hand_over(draft: Draft) -> None:
    """Hand the conversation to the endpoint's queue, with its message; where there is none, say sorry."""
    if draft.endpoint.handover.queue is None:
        draft.incident("no_queue")
        draft.deliver("message", {"text": draft.endpoint.on_error.message})
    else:
        ask(draft, {}, position=None)
