"""Asking for a handover."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.conversation.draft import Draft
from app.conversation.handover.machine import Signal
from app.conversation.handover.packet import keys_shown, user_data
from app.conversation.handover.writing import apply, new_row, set_control, watch_waiting
from app.conversation.state import ConversationState, HandoverState
from app.gateway.rendering import is_numbered

#: Payload of the quick reply by which a user stops waiting.
CANCEL = "parley:cancel-handover"
#: How far 8x8's clock may be behind (a webhook that differs more is refused): events that come after the
#: request and are so much older belong to it, unless they are no newer than those of the handover before.
CLOCKS_DIFFER = timedelta(minutes=10)
#: Seconds that getting the conversation back is asked for, while all that is said later waits behind it.
LONGEST_WISH = 60.0


def cancels(message: Mapping[str, Any]) -> bool:
    """Whether this is a click on the button that stops a handover."""
    return message.get("payload") == CANCEL


def ask(draft: Draft, params: Mapping[str, Any], *, position: int | None) -> None:
    """Hand the conversation to a queue: the assignment is a delivery behind all that was said before.

    `params`: queue, message, properties, cancel_text, summary, timeout, wants; what is null is taken from the
    endpoint's settings. `apologised`: the user knows already that something went wrong. `private`: no
    transcript has what is said meanwhile. Without any queue the handover has failed at once.
    """
    endpoint, state = draft.endpoint, draft.state
    settings = endpoint.handover
    queue = params.get("queue") or settings.queue
    timeout: float | None = params.get("timeout") or settings.timeout
    wants = list(params.get("wants") or ())
    can_cancel = settings.return_assignment is not None
    chosen: dict[str, Any] = {
        "message": params.get("message") or settings.message,
        "cancel_text": (params.get("cancel_text") or settings.cancel_text) if can_cancel else None,
        "timeout": timeout,
        "wants": wants if can_cancel else [want for want in wants if want != "cancel"],
        "apologised": bool(params.get("apologised")),
        "private": bool(params.get("private")),
    }
    packet = user_data(state, endpoint, properties=params.get("properties"), summary=params.get("summary"))
    chosen["packet"] = packet["additionalProperties"]
    handover = _new(draft, draft.now, queue=queue, position=position, settings=chosen)
    if queue is None:
        apply(draft, handover, Signal("ended", draft.now, value="failed", reason="no queue is set"))
        return
    draft.deliver("assignment", {**assignment(handover), "user": packet})
    set_control(draft, handover.machine.control)
    if chosen["message"]:
        draft.deliver("message", accepted_message(handover, draft.state.channel))
    if settings.return_to_bot is not None:
        wish = {**settings.return_to_bot.model_dump(), "handover": handover.id}
        draft.deliver("post_agent", wish, max_age=LONGEST_WISH)
    watch_waiting(draft, handover, heard=False)
    watch_inactivity(draft, handover, draft.now)


def assignment(handover: HandoverState) -> dict[str, Any]:
    """What 8x8 is asked for, without what the agent is told of the user."""
    return {"assignment": {"type": "queue", "id": handover.queue}, "handover": handover.id}


def apologise(draft: Draft) -> None:
    """The bot can't go on: say so and hand the user over, as `on_error` has it.

    Where humans are at it already, the user need not know.
    """
    if draft.state.control != "bot":
        return
    draft.deliver("message", {"text": draft.endpoint.on_error.message})
    queue = draft.endpoint.on_error.handover
    if queue is not None:
        params = {"queue": queue, "summary": "The bot could not go on.", "apologised": True}
        ask(draft, params, position=None)


def taken_over(draft: Draft, signal: Signal) -> None:
    """A human has the conversation although nobody asked: the bot is silent from here on."""
    if draft.state.dialog is not None:
        draft.end_dialog("closed", "a human took over")
    handover = _new(draft, draft.now, queue=None, position=None, settings={"wants": []})
    handover.events_since = min(handover.events_since, signal.at)
    draft.changes.handovers[-1]["events_since"] = handover.events_since
    apply(draft, handover, signal)


def found_a_human(draft: Draft, agent: str | None) -> None:
    """8x8 shows that an agent has the conversation although no handover is open."""
    taken_over(draft, Signal("found", _since(draft.state, draft.now), agent, "agent"))


def _since(state: ConversationState, at: datetime) -> datetime:
    """From when on events belong to a handover that begins at this time."""
    since, before = at - CLOCKS_DIFFER, state.ended_handover
    if before is not None and before.events_until is not None:
        since = max(since, before.events_until + timedelta(microseconds=1))
    return since


def _new(
    draft: Draft, at: datetime, *, queue: str | None, position: int | None, settings: dict[str, Any]
) -> HandoverState:
    state = draft.state
    before = state.ended_handover
    settings["shown"] = keys_shown(state, settings.get("packet", ()))
    gated = before is not None and before.taken_back and at < before.ended_at + CLOCKS_DIFFER
    handover = HandoverState(
        id=draft.ids.handover.take(),
        requested_at=at,
        events_since=_since(state, at),
        queue=queue,
        dialog_id=state.dialog.id if state.dialog is not None and position is not None else None,
        position=position,
        settings={**settings, "gated": gated and queue is not None},
    )
    state.handover = handover
    draft.changes.handovers.append(new_row(draft, handover))
    draft.changes.transitions.append(
        {
            "handover_id": handover.id,
            "at": at,
            "cause": "asked" if queue is not None or position is not None else "taken over",
            "status": "requested",
            "agent_id": None,
            "event_id": None,
        }
    )
    return handover


def accepted_message(handover: HandoverState, channel: str | None) -> dict[str, Any]:
    """What the user reads while waiting, with the button to stop it where that is offered.

    Where the channel shows no buttons, with the words that stop it: a number would be taken for one of the
    things that users write to agents.
    """
    content: dict[str, Any] = {"text": handover.settings["message"], "handover": handover.id}
    if handover.private:
        content["private"] = True
    cancel = handover.settings.get("cancel_text")
    if cancel and is_numbered(channel):
        content["text"] = f"{content['text']}\n\n→ {cancel}"
    elif cancel:
        content["quick_replies"] = [{"title": handover.settings["cancel_text"], "payload": CANCEL}]
    return content


def watch_inactivity(draft: Draft, handover: HandoverState, since: datetime) -> None:
    """Set the clock of the bot's `on_inactive`, as long as there is a dialog to be told."""
    minutes, dialog = draft.endpoint.handover.inactivity, draft.state.dialog
    told = dialog is not None and dialog.id == handover.dialog_id
    if minutes is not None and told and "inactive" in handover.wants:
        draft.set_timer("inactivity", since + timedelta(minutes=minutes))
