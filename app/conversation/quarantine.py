"""Conversations that kill their workers.

A worker that dies leaves its conversations to others. From then on such a conversation is a suspect: its
turns run one at a time in a worker (trials.py) and leave a mark (`trial_epoch`) before they begin, so that
only the one that was running when the worker died is blamed. After `DEATHS_ALLOWED` deaths without a
committed turn it is quarantined: its waiting inputs are set aside, ops see an incident, the user gets
`on_error`.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.draft import Draft
from app.conversation.handover.opening import apologise
from app.conversation.inputs import meaning_of, session_expired
from app.conversation.owned import owned
from app.conversation.state import ConversationState, WaitingEvent
from app.gateway.meaning import UserInput

#: Deaths of owners that a conversation may cause.
DEATHS_ALLOWED = 3

_TRIAL = "UPDATE conversation SET trial_epoch = epoch WHERE id = $1"


async def begin_trial(engine: AsyncEngine, state: ConversationState) -> None:
    """Leave the mark that says: this conversation was being handled."""
    async with owned(engine, state) as holding:
        await holding.fetch(_TRIAL, state.id)


def quarantine(draft: Draft, waiting: list[WaitingEvent]) -> None:
    """Set what waits aside and tell the user and ops. `parley conversations redrive` brings it back."""
    state = draft.state
    if state.dialog is not None:
        draft.end_dialog("failed", "quarantined")
    _session_of(draft, waiting)
    for timer in list(state.timers):
        if timer.kind == "receive":  # a handover goes on: humans have nothing to do with it
            draft.end_timer(timer, "cancelled")
    for event in waiting:
        draft.handled(event, "quarantined")
    draft.changes.conversation["quarantined_at"] = draft.now
    draft.incident("quarantined", deaths=state.deaths, events=[event.id for event in waiting])
    apologise(draft)


def _session_of(draft: Draft, waiting: list[WaitingEvent]) -> None:
    """A user's input begins a session, or goes on with it, though it is set aside: with that it is erased."""
    inputs = [event for event in waiting if isinstance(meaning_of(event), UserInput)]
    if not inputs or draft.state.control != "bot":
        return
    if session_expired(draft.state, draft.endpoint, inputs[0]):
        draft.end_session("expired")
    session = draft.state.session or draft.start_session(inputs[0].received_at)
    session.last_input_at = inputs[-1].received_at
    draft.save_session()
