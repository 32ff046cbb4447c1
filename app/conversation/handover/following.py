"""Following a handover: what 8x8's events, the user and the clock do to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.conversation.draft import Draft
from app.conversation.handover.machine import Signal
from app.conversation.handover.opening import (
    accepted_message,
    cancels,
    taken_over,
    watch_inactivity,
)
from app.conversation.handover.returning import outcome_due
from app.conversation.handover.watching import (
    ON_THE_WAY_OUT,
    look_for_who_stays,
    look_if_quiet,
    newest,
)
from app.conversation.handover.writing import apply, save
from app.conversation.journal import Entry
from app.conversation.privacy.heard import hear
from app.conversation.state import (
    ConversationState,
    EndedHandover,
    HandoverState,
    Meanwhile,
    WaitingEvent,
)
from app.gateway import meaning as gateway

#: Messages that a handover's outcome holds, the newest.
MOST_MESSAGES = 500


def signal_of(meaning: gateway.Meaning, at: datetime) -> Signal | None:
    """What an event says about a handover."""
    match meaning:
        case gateway.Queued():
            return Signal("queued", at, value=meaning.queue_id)
        case gateway.MemberChange(member_type="agent", change="joined" | "left" as change):
            return Signal(change, at, agent=meaning.id)
        case gateway.AgentMessage():
            return Signal("wrote", at, agent=meaning.agent_id)
        case gateway.Transfer():
            return Signal("transfer", at)
        case gateway.StateChange(assignment={"type": str(kind), **assignment}):
            kinds = {"agent": "assigned", "queue": "enqueued", "script": "returned"}
            if kind not in kinds:
                return None
            who = assignment.get("id")
            who = str(who) if who is not None else None
            return Signal(
                kinds[kind],
                at,
                agent=who if kind == "agent" else None,
                value=who if kind == "queue" else None,
            )
        case _:
            return None


def follow(draft: Draft, event: WaitingEvent, meaning: gateway.Meaning, *, news: bool = True) -> None:
    """Take an event into account. `news`: of an assignment, that it is not the one already known."""
    signal = signal_of(meaning, event.at)
    if signal is None:
        return
    handover = draft.state.handover
    if handover is not None and handover.machine.open:
        advance(draft, handover, signal, event.id)
        return
    ended = draft.state.ended_handover
    if _is_a_human(draft.state, event, signal, news=news):
        taken_over(draft, signal)
    elif ended is not None and ended.taken_back and signal.kind in ("joined", "wrote", "assigned"):
        look_for_who_stays(draft, ended)


def takes_over(state: ConversationState, event: WaitingEvent, meaning: gateway.Meaning, news: bool) -> bool:
    """Whether this event, once it is taken into account, shows that a human has the conversation unasked."""
    signal = signal_of(meaning, event.at)
    return state.control == "bot" and signal is not None and _is_a_human(state, event, signal, news=news)


def _is_a_human(state: ConversationState, event: WaitingEvent, signal: Signal, *, news: bool) -> bool:
    human = signal.kind in ("joined", "wrote") or (signal.kind == "assigned" and news)
    return human and not of_the_last(state.ended_handover, event)


def of_the_last(ended: EndedHandover | None, event: WaitingEvent) -> bool:
    """Whether an agent's event belongs to the handover before, and is nobody who takes over now."""
    if ended is None:
        return False
    if ended.events_until is not None and event.at <= ended.events_until:
        return True
    return ended.taken_back and min(event.at, event.received_at) < ended.ended_at + ON_THE_WAY_OUT


def advance(draft: Draft, handover: HandoverState, signal: Signal, event_id: int | None = None) -> None:
    """Take a signal into account, and tell the bot where it has a handler for what it led to."""
    before = handover.machine.status
    machine = apply(draft, handover, signal, event_id=event_id)
    if machine.status != before and machine.status in ("queued", "active"):
        tell = (
            draft.endpoint.handover.on_queued
            if machine.status == "queued"
            else draft.endpoint.handover.on_active
        )
        if tell:
            tell_bot(draft, handover, machine.status, {})


def may_tell_bot(state: ConversationState, meaning: gateway.Meaning) -> bool:
    """Whether an event may give the bot a turn although it is no input: a handover's news, or its end."""
    handover, dialog = state.handover, state.dialog
    if handover is None or dialog is None or handover.dialog_id != dialog.id or not handover.machine.open:
        return False
    if isinstance(meaning, gateway.UserInput):
        return "cancel" in handover.wants or _asks_to_cancel(handover, meaning.message)
    if isinstance(meaning, gateway.AgentMessage):
        return handover.machine.status != "active"
    return signal_of(meaning, handover.requested_at) is not None


def tell_bot(draft: Draft, handover: HandoverState, name: str, content: dict[str, Any]) -> None:
    """Give a signal to the bot's handler, where it has one for it."""
    dialog = draft.state.dialog
    if name in handover.wants and dialog is not None and dialog.id == handover.dialog_id:
        draft.journal(Entry("signal", name, content, max(draft.now, dialog.entries[-1].at)))
        draft.drive = True


def user_wrote(draft: Draft, event: WaitingEvent, message: dict[str, Any], *, cancel: bool) -> None:
    """The user wrote while the bot is silent. `cancel`: the bot's own `cancel_when` says so."""
    state = draft.state
    if state.control == "bot":
        return  # a click on the button of a handover that is over
    if state.session is not None:
        state.session.last_input_at = event.received_at
        draft.save_session()
    handover = state.handover
    if handover is None or not handover.machine.open:
        return
    remember(draft, handover, "user", message, event)
    handover.inactive_count = 0
    save(draft, handover, handover.machine)
    watch_inactivity(draft, handover, event.received_at)
    look_if_quiet(draft, handover)
    if cancel or _asks_to_cancel(handover, message):
        end(draft, handover, "cancelled", "cancelled by the user")
    elif (
        draft.endpoint.handover.repeat_message
        and handover.settings.get("message")
        and handover.machine.status != "active"
    ):
        draft.deliver("message", accepted_message(handover, draft.state.channel))


def remember(
    draft: Draft, handover: HandoverState, author: str, message: dict[str, Any], event: WaitingEvent
) -> None:
    """Keep a message for the outcome, and by its event, for after a restart: a transcript may be masked."""
    hear(draft.state, message)
    handover.messages.append(Meanwhile(event.id, event.at, {**message, "author": author}))
    del handover.messages[:-MOST_MESSAGES]


def _asks_to_cancel(handover: HandoverState, message: dict[str, Any]) -> bool:
    text = handover.settings.get("cancel_text")
    if not text:
        return False
    said = str(message.get("text") or "").strip().casefold()
    return cancels(message) or said == str(text).strip().casefold()


def end(draft: Draft, handover: HandoverState, status: str, reason: str) -> None:
    """End a handover from our side; the conversation is taken back where that is set up."""
    draft.withhold("the handover is over", handover=handover.id)
    draft.changes.handovers_given_up.append(handover.id)
    back = draft.endpoint.handover.return_assignment
    if back is not None:
        draft.deliver("return", {"assignment": back.model_dump(), "handover": handover.id})
    at = max(draft.now, newest(handover))
    apply(draft, handover, Signal("ended", at, value=status, reason=reason, back=back is not None))


def conversation_over(draft: Draft, event: WaitingEvent, reason: str) -> bool:
    """The user left, or the conversation fell idle: so ends the handover, and else the session.

    True where the dialog has the handover's outcome to get first: see `last_words`. What an agent did before
    the event still belongs to the handover when it is told later.
    """
    handover = draft.state.handover
    if handover is not None and handover.machine.open:
        at = max(event.at, newest(handover))
        apply(draft, handover, Signal("over", at, reason=reason), event_id=event.id)
    return outcome_due(draft.state)
