"""A handover's timers: what is done when one is due."""

from __future__ import annotations

from datetime import datetime

from app.conversation.draft import Draft
from app.conversation.handover.asking import Told
from app.conversation.handover.following import advance, end, tell_bot
from app.conversation.handover.machine import LEFT_WAIT, Signal
from app.conversation.handover.opening import assignment, found_a_human, watch_inactivity
from app.conversation.handover.watching import BETWEEN_LOOKS, QUIET_FOR, WATCH, looks, newest, watch
from app.conversation.handover.writing import TIMERS, UNHEARD_AFTER, apply, save
from app.conversation.state import ConversationState, HandoverState, TimerState

#: A conversation that can't be read after an agent left is taken to be over after so many looks: a minute.
#: Looks are counted, since 8x8's clock says when the agent left and ours when we look.
MOST_LOOKS = 20


def due_timers(state: ConversationState, now: datetime) -> list[TimerState]:
    """Timers of a handover that are due."""
    return [timer for timer in state.timers if timer.due_at <= now and timer.kind in TIMERS]


def time_passed(draft: Draft, timer: TimerState, told: Told) -> None:
    """A timer is due; `told` is what 8x8 and the database say about it."""
    handover = draft.state.handover
    if handover is None or not handover.machine.open:
        draft.end_timer(timer, "fired" if timer.kind == WATCH else "cancelled")
        if timer.kind == WATCH and told.assigned_to == "agent":
            found_a_human(draft, told.agent)
        return
    draft.end_timer(timer, "fired")
    machine = handover.machine
    match timer.kind:
        case "handover_left" if machine.leaving_since is not None:
            looked_before = (timer.position or 0) + 1
            if told.assigned_to == "" and looked_before < MOST_LOOKS:
                draft.set_timer("handover_left", draft.now + LEFT_WAIT, position=looked_before)
                return
            looked = Signal("looked", newest(handover), value=told.assigned_to)
            advance(draft, handover, looked)
        case "handover_timeout" if machine.status != "active":
            end(draft, handover, "timed_out", "nobody came in time")
        case "handover_failed" if machine.status == "requested" and told.failure is not None:
            _ended(draft, handover, "failed", told.failure)
        case "handover_unheard" if machine.status in ("requested", "transferred"):
            _unheard(draft, handover, timer, told)
        case "handover_watch" if machine.status in ("queued", "active") and machine.leaving_since is None:
            _watched(draft, handover, timer, told)
        case "inactivity":
            handover.inactive_count += 1
            save(draft, handover, machine)
            watch_inactivity(draft, handover, draft.now)
            tell_bot(draft, handover, "inactive", {"count": handover.inactive_count})


def _unheard(draft: Draft, handover: HandoverState, timer: TimerState, told: Told) -> None:
    """8x8 has told nothing since it was asked: so we look who has the conversation.

    What agents did so far may be of the handover before; what they do from here on is of this one. Where
    nobody has it, although the assignment was taken, it is asked for once more and ops are told; then the
    handover has failed.
    """
    asked = timer.position or 0
    if told.assigned_to in ("queue", "agent") or handover.machine.gate is not None:
        advance(draft, handover, Signal("found", newest(handover), told.agent, told.assigned_to))
    if handover.machine.status not in ("requested", "transferred"):
        return
    if handover.machine.status == "transferred" and told.assigned_to != "":
        _ended(draft, handover, "completed", "nobody has the conversation after a transfer")
    elif told.assigned_to == "" or not told.sent:
        draft.set_timer("handover_unheard", draft.now + UNHEARD_AFTER, position=asked)
    elif asked == 0 and handover.queue is not None:
        draft.incident("handover_unheard", handover=handover.id)
        draft.deliver("assignment", assignment(handover))
        draft.set_timer("handover_unheard", draft.now + UNHEARD_AFTER, position=1)
    else:
        end(draft, handover, "failed", "8x8 took the assignment, but nobody has the conversation")


def _watched(draft: Draft, handover: HandoverState, timer: TimerState, told: Told) -> None:
    """It was looked who has the conversation. Nobody at two looks is the end."""
    status = handover.machine.status
    if not looks(draft.state, timer, draft.now):
        draft.set_timer(WATCH, newest(handover) + QUIET_FOR)
    elif told.assigned_to == "":
        draft.set_timer(WATCH, draft.now + BETWEEN_LOOKS, position=timer.position or 0)
    elif told.assigned_to in ("queue", "agent"):
        if told.assigned_to != {"queued": "queue", "active": "agent"}[status]:
            advance(draft, handover, Signal("found", newest(handover), told.agent, told.assigned_to))
        watch(draft)
    elif timer.position != 1:
        draft.set_timer(WATCH, draft.now + LEFT_WAIT, position=1)
    elif status == "active":
        draft.incident("handover_lost", handover=handover.id)  # a user may have written to nobody
        _ended(draft, handover, "completed", "the agent is gone")
    else:
        _ended(draft, handover, "failed", "8x8 took it out of the queue")


def _ended(draft: Draft, handover: HandoverState, status: str, reason: str | None) -> None:
    at = max(draft.now, newest(handover))
    apply(draft, handover, Signal("ended", at, value=status, reason=reason))
