"""Looking after those who are with agents, or wait for one, while 8x8 tells nothing: events get lost.

One timer, `handover_watch`. Its position: None, a look now and then, due only if nothing was heard for a
while; 0, a look for a reason; 1, the second look, since the first found nobody. Where no handover is open it
is a look for an agent who did not leave.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from app.conversation.draft import Draft
from app.conversation.handover.machine import LEFT_WAIT
from app.conversation.state import ConversationState, EndedHandover, HandoverState, TimerState

WATCH = "handover_watch"
#: So long nothing may be heard of agents or queue before it is looked who has the conversation.
QUIET_FOR = timedelta(minutes=10)
#: While a user writes into a silence, and while 8x8 can't be asked, looks are so far apart.
BETWEEN_LOOKS = timedelta(seconds=60)
#: After a handover was ended from here, an agent who is still there takes nothing over for so long.
ON_THE_WAY_OUT = timedelta(seconds=30)


def newest(handover: HandoverState) -> datetime:
    """By 8x8's clock, which is the one that a handover's events are ordered by."""
    return max([handover.events_since, *(signal.at for signal in handover.signals)])


def is_quiet(handover: HandoverState, now: datetime) -> bool:
    """Whether nothing was heard for a while. The clocks may differ: it is only about when to look."""
    return now - newest(handover) >= QUIET_FOR


def looks(state: ConversationState, timer: TimerState, now: datetime) -> bool:
    """Whether 8x8 is to be asked now that this timer is due."""
    handover = state.handover
    if timer.position is not None or handover is None or not handover.machine.open:
        return True
    return is_quiet(handover, now)


def watch(draft: Draft) -> None:
    """Look now and then from here on."""
    if draft.state.timer(WATCH) is None:
        draft.set_timer(WATCH, draft.now + QUIET_FOR)


def look_soon(draft: Draft) -> None:
    """Something was heard that may be the end, and may be old news."""
    timer = draft.state.timer(WATCH)
    if timer is None or timer.position is None:
        draft.set_timer(WATCH, draft.now + LEFT_WAIT, position=0)


def look_if_quiet(draft: Draft, handover: HandoverState) -> None:
    """The user writes: is anybody there? One look a minute says enough."""
    timer = draft.state.timer(WATCH)
    if timer is None or timer.position is not None or not is_quiet(handover, draft.now):
        return
    if timer.due_at <= draft.now + QUIET_FOR - BETWEEN_LOOKS:  # the last look was a minute ago
        draft.set_timer(WATCH, draft.now, position=0)


def look_for_who_stays(draft: Draft, ended: EndedHandover) -> None:
    """An agent is there whose handover was ended from here: later it is looked whether that is still so."""
    if draft.state.timer(WATCH) is None:
        draft.set_timer(WATCH, max(ended.ended_at + ON_THE_WAY_OUT, draft.now + LEFT_WAIT), position=0)
