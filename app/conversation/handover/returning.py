"""A handover has ended: the dialog that asked for it gets the outcome."""

from __future__ import annotations

from typing import Any

from app.conversation.draft import Draft
from app.conversation.handover.writing import outcome, tell_user
from app.conversation.journal import Entry
from app.conversation.privacy.sanitize import clean_input
from app.conversation.state import ConversationState, DialogState


def outcome_due(state: ConversationState) -> bool:
    """Whether a handover has ended and the dialog that asked for it does not know."""
    handover, dialog = state.handover, state.dialog
    return (
        handover is not None
        and dialog is not None
        and handover.dialog_id == dialog.id
        and not handover.machine.open
    )


def give_outcome(draft: Draft) -> None:
    """The dialog goes on with the outcome; or ends, where the next message is to start the bot."""
    state = draft.state
    handover, dialog = state.handover, state.dialog
    assert handover is not None and dialog is not None
    at = max(draft.now, dialog.entries[-1].at)
    content = outcome(handover)
    content["messages"] = [
        without_files(clean_input(draft.endpoint, message) if message["author"] == "user" else message)
        for message in content["messages"]
    ]
    draft.journal(Entry("outcome", None, content, at))
    state.handover = None
    if draft.endpoint.handover.flow_continuation == "restart":
        over = last_words(dialog)
        draft.end_dialog("completed", None)
        tell_user(draft, handover)
        if over is not None:
            draft.end_session(over)
    else:
        draft.drive = True


def without_files(message: dict[str, Any]) -> dict[str, Any]:
    """A message whose files say that they can't be read: what humans got of each other is not fetched."""
    files = [
        {
            **{name: each.get(name) for name in ("id", "type", "name")},
            "url": None,
            "state": "failed",
            "reason": "not_fetched",
        }
        for each in message.get("attachments") or ()
    ]
    return {**message, "attachments": files} if files else message


def last_words(dialog: DialogState) -> str | None:
    """Why the session is over, when what the dialog took last is a handover that ended with it."""
    for entry in reversed(dialog.entries):
        if entry.kind in ("input", "timeout", "signal"):
            return None
        if entry.kind == "outcome":
            reason = entry.content.get("reason")
            return reason if reason in ("idle", "user_left") else None
    return None
