"""A handover's state, written: its row, its transitions, and who has the conversation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.conversation.changes import Row
from app.conversation.draft import Draft
from app.conversation.handover.machine import LEFT_WAIT, Machine, Signal
from app.conversation.handover.watching import WATCH, look_soon, watch
from app.conversation.state import EndedHandover, HandoverState

#: Signals kept of one handover, more than any real one has. Beyond it the second oldest goes.
MOST_SIGNALS = 500
#: A handover that 8x8 has told nothing of for so long is looked after.
UNHEARD_AFTER = timedelta(seconds=60)
#: Signals that come again and again and say nothing new: of a row of them the first and the last are kept.
_REPEATED = ("wrote", "assigned", "enqueued", "returned")
#: Timers of a handover: none outlives it.
TIMERS = ("handover_left", "handover_timeout", "handover_failed", "handover_unheard", WATCH, "inactivity")


def apply(draft: Draft, handover: HandoverState, signal: Signal, *, event_id: int | None = None) -> Machine:
    """Take a signal into account: state, row, transition, control and timers; the new state."""
    before = handover.machine
    if not before.open:
        return before
    _remember(handover.signals, signal)
    machine = handover.machine
    if machine.status != before.status or (machine.wrote and not before.wrote):
        draft.changes.transitions.append(
            {
                "handover_id": handover.id,
                "at": signal.at,
                "cause": (signal.reason if signal.kind in ("over", "ended") else None) or signal.kind,
                "status": machine.status,
                "agent_id": signal.agent,
                "event_id": event_id,
            }
        )
    save(draft, handover, machine)
    set_control(draft, machine.control)
    if not machine.open:
        _end(draft, handover, machine)
        return machine
    _set_left_timer(draft, before, machine)
    if machine.status in ("queued", "active"):
        _cancel(draft, "handover_unheard")
        watch(draft)
    if machine.status == "queued" and signal.kind == "returned":
        look_soon(draft)
    if machine.status == "active":
        _cancel(draft, "handover_timeout")
    elif before.status == "active":
        watch_waiting(draft, handover, heard=machine.status == "queued")
    return machine


def _remember(signals: list[Signal], signal: Signal) -> None:
    """Keep a signal, but of many alike in a row the first and the last."""
    alike = [
        (known.kind, known.agent, known.value) == (signal.kind, signal.agent, signal.value)
        for known in signals[-2:]
    ]
    if signal.kind in _REPEATED and alike == [True, True]:
        signals.pop()
    elif len(signals) >= MOST_SIGNALS:
        signals.pop(1)
    signals.append(signal)


def watch_waiting(draft: Draft, handover: HandoverState, *, heard: bool) -> None:
    """Set the clocks of a user who waits: for an agent, and (unless `heard`) for 8x8 to tell of the queue."""
    timeout = handover.settings.get("timeout")
    if timeout:
        draft.set_timer("handover_timeout", draft.now + timedelta(seconds=timeout))
    if not heard:
        draft.set_timer("handover_unheard", draft.now + UNHEARD_AFTER)


def _set_left_timer(draft: Draft, before: Machine, machine: Machine) -> None:
    if machine.leaving_since is None:
        _cancel(draft, "handover_left")
    elif before.leaving_since is None:
        draft.set_timer("handover_left", draft.now + LEFT_WAIT)


def _cancel(draft: Draft, kind: str) -> None:
    timer = draft.state.timer(kind)
    if timer is not None:
        draft.end_timer(timer, "cancelled")


def _end(draft: Draft, handover: HandoverState, machine: Machine) -> None:
    """Nothing waits any more; the dialog that asked has its outcome to get, so it is due."""
    state = draft.state
    assert machine.ended_at is not None
    state.ended_handover = EndedHandover.of(handover, machine.ended_at)
    for timer in list(state.timers):
        if timer.kind in TIMERS:
            draft.end_timer(timer, "cancelled")
    if handover.dialog_id is not None and state.dialog is not None and state.dialog.id == handover.dialog_id:
        draft.dialog_status("running")
    else:
        state.handover = None
        tell_user(draft, handover)


def tell_user(draft: Draft, handover: HandoverState) -> None:
    """Nobody came, and no bot goes on that would say so."""
    status = handover.machine.status
    if status == "timed_out" or (status == "failed" and not handover.settings.get("apologised")):
        draft.deliver("message", {"text": draft.endpoint.on_error.message})


def set_control(draft: Draft, control: str) -> None:
    """Who answers the user from now on. What waits to be said is withheld once a human does."""
    state = draft.state
    if control == state.control:
        return
    state.control = control
    draft.changes.conversation["control"] = control
    if control == "human":
        draft.changes.withhold = True  # what other transactions left; `commit` sees to this one's
    elif control == "bot":
        draft.changes.release_held = True


def save(draft: Draft, handover: HandoverState, machine: Machine) -> None:
    """Write the row as it is now."""
    values: Row = {
        "status": machine.status,
        "reason": machine.reason,
        "queued_at": machine.queued_at,
        "active_at": machine.active_at,
        "ended_at": machine.ended_at,
        "transfers": machine.transfers,
        "agents": list(machine.agents),
        "signals": [signal.to_json() for signal in handover.signals],
        "inactive_count": handover.inactive_count,
        "message_events": [each.event_id for each in handover.messages],
    }
    for row in draft.changes.handovers:
        if row["id"] == handover.id:
            row.update(values)
            return
    for row in draft.changes.handover_updates:
        if row["handover"] == handover.id:
            row.update(values)
            return
    draft.changes.handover_updates.append({"handover": handover.id, **values})


def new_row(draft: Draft, handover: HandoverState) -> Row:
    """The row of a handover just begun."""
    state, machine = draft.state, handover.machine
    return {
        "id": handover.id,
        "endpoint": state.endpoint,
        "conversation_id": state.id,
        "session_id": state.session.id if state.session else None,
        "dialog_id": handover.dialog_id,
        "position": handover.position,
        "queue": handover.queue,
        "status": machine.status,
        "reason": None,
        "requested_at": handover.requested_at,
        "queued_at": None,
        "active_at": None,
        "ended_at": None,
        "events_since": handover.events_since,
        "transfers": 0,
        "inactive_count": 0,
        "agents": [],
        "signals": [],
        "message_events": [],
        "settings": handover.settings,
    }


def outcome(handover: HandoverState) -> dict[str, Any]:
    """The journal's `outcome` entry: what `chat.handover` returns, messages by 8x8's clock."""
    machine = handover.machine
    return {
        "status": machine.status,
        "reason": machine.reason,
        "agent_ids": list(machine.agents),
        "waiting_seconds": machine.waiting_seconds,
        "handling_seconds": machine.handling_seconds,
        "messages": [each.message for each in sorted(handover.messages, key=lambda each: each.at)],
    }
