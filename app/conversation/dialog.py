"""The bot's side of a turn: dialogs started, driven and brought to rest."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from app.conversation.chosen import as_choice
from app.conversation.draft import Draft
from app.conversation.driver import DialogStart, Driver
from app.conversation.handover.following import end, user_wrote
from app.conversation.handover.opening import apologise, ask
from app.conversation.handover.packet import with_note
from app.conversation.handover.returning import last_words, outcome_due
from app.conversation.inputs import Input, meaning_of
from app.conversation.journal import Entry, is_said
from app.conversation.needs import Diverged, Failed, Finished, Handover, Need, Receive
from app.conversation.notes import extras, note
from app.conversation.privacy import noted
from app.conversation.privacy.heard import hear
from app.conversation.privacy.sanitize import clean_input
from app.conversation.reading import signed_anew
from app.conversation.services import Services
from app.conversation.state import ConversationState, WaitingEvent
from app.conversation.transformers import Said
from app.gateway.meaning import Injected, UserInput
from app.gateway.outgoing import files_of

log = structlog.get_logger(__name__)


def take_note(draft: Draft, event: WaitingEvent, *, cancel: bool = False) -> None:
    """An event that starts nothing: what it changes, and a line in the transcript where somebody wrote.

    `cancel`: the user asks to stop waiting for an agent, by the bot's own `cancel_when`.
    """
    meaning = meaning_of(event)
    if isinstance(meaning, UserInput) and not meaning.is_activity:
        message = clean_input(draft.endpoint, meaning.message)
        user_line(draft, event, message)
        user_wrote(draft, event, message, cancel=cancel)
        draft.handled(event, "noted")
        return
    outcome = note(draft, event, meaning)
    draft.handled(event, outcome)


def user_line(draft: Draft, event: WaitingEvent, message: dict[str, object]) -> None:
    """The user's message in the transcript, unless it is private."""
    if draft.in_private():
        return
    text = message.get("text")
    draft.transcript(
        "user",
        at=event.at,
        text=str(text) if text is not None else None,
        kind=str(message.get("kind", "text")),
        content=extras(message),
        event_id=event.id,
        late=draft.state.handled_at is not None and event.at < draft.state.handled_at,
    )


def start_dialog(draft: Draft) -> None:
    """Open a dialog with a seed of its own."""
    draft.start_dialog(secrets.randbits(62))


def take_input(draft: Draft, found: Input) -> None:
    """Journal an input in the open dialog and mark its event handled."""
    state, event = draft.state, found.event
    if isinstance(found.meaning, UserInput) and state.dialog is not None:
        said = state.dialog.entries or state.last_words
        found = replace(found, message=as_choice(found.message, said, state.channel))
    state.last_words = []
    hear(state, found.message)
    draft.journal(Entry("input", None, found.content(state), draft.now, event.id))
    if isinstance(found.meaning, UserInput):
        user_line(draft, event, found.message)
    elif isinstance(found.meaning, Injected) and not draft.in_private():
        text = found.message["text"] or None
        draft.transcript("system", at=event.at, text=text, kind="inject", event_id=event.id)
    draft.handled(event, "input")


def drive(services: Services, state: ConversationState) -> Driver:
    """A driver of the open dialog over everything journaled, what was just taken included.

    Raises ConfigurationError when the bot can't be imported.
    """
    dialog = state.dialog
    assert dialog is not None
    start = DialogStart(
        dialog_key=f"{state.endpoint}/{dialog.id}",
        seed=dialog.seed,
        started_at=dialog.started_at,
        session=dialog.session_data,
        contact=dialog.contact_data,
        card_version=services.endpoints[state.endpoint].adaptive_card_version,
    )
    entries = signed_anew(dialog.entries, services.files, services.now())
    return Driver(services.bots(dialog.bot), start, entries, now=services.now)


def keep(
    driver: Driver,
    draft: Draft,
    produced: Sequence[tuple[int, Entry]],
    said: Said | None,
    *,
    keep_session: bool = True,
) -> None:
    """Journal what the bot did, queue what it said, and keep its session data.

    `said`: what its transformers made of what it said; None where there are none.
    """
    for position, entry in produced:
        draft.journal(entry, position)
        draft.take_files(files_of(entry.content))
        own = [entry.content] if is_said(entry) else []
        for content in own if said is None else said.at.get(position, own):
            _say(draft, content, position)
        if entry.kind == "handover":
            _handover(draft, entry, position)
        elif entry.kind == "note":
            noted.take(draft, entry, position)
    if said is not None:
        say_at_last(draft, said)
    assert draft.state.session is not None
    if keep_session:
        draft.state.session.data = driver.session
        draft.save_session()


def say_at_last(draft: Draft, said: Said) -> None:
    """Queue what waited for the turn's end, and tell ops of transformers that failed."""
    for content in said.end:
        _say(draft, content, None)
    for kind in said.failures:
        draft.incident("transformer_failed", transformer=kind)


def drop(draft: Draft, event: WaitingEvent, *, failed: bool) -> None:
    """The bot doesn't get this input. Where the transformer failed, the user and ops hear so."""
    draft.handled(event, "failed" if failed else "dropped")
    if failed:
        draft.incident("transformer_failed", transformer="input")
        draft.deliver("message", {"text": draft.endpoint.on_error.message})


def _say(draft: Draft, content: dict[str, Any], position: int | None) -> None:
    """Queue what the bot said. 8x8 knows no message to the agent alone: such a one is a note beside it."""
    if content.get("to") == "agent":
        handover = draft.state.handover
        user = with_note(draft.state, draft.endpoint, content.get("text") or "")
        mine = {"handover": handover.id} if handover is not None else {}
        draft.deliver("note", {"user": user, **mine}, position=position)
        if not content.get("private"):
            draft.transcript("bot", at=draft.now, text=content.get("text"), content={"to": "agent"})
        return
    during = {} if draft.state.control == "bot" else {"during_handover": True}
    draft.deliver("message", {**content, **during}, position=position)


def _handover(draft: Draft, entry: Entry, position: int) -> None:
    """The bot asks for a handover, or (from one of its handlers) ends it."""
    if entry.name != "close":
        ask(draft, entry.content, position=position)
        return
    handover = draft.state.handover
    if handover is None or not handover.machine.open:
        return
    if draft.state.control == "human" and draft.endpoint.handover.return_assignment is None:
        draft.incident("handover_not_closed", handover=handover.id)  # two would answer the user
        return
    end(draft, handover, "cancelled", "closed by the bot")


def cancels(driver: Driver, text: str) -> bool:
    """Whether the bot's own `cancel_when` takes this as "stop waiting"."""
    need = driver.run()
    return isinstance(need, Handover) and need.cancel_when is not None and bool(need.cancel_when(text))


def rest(draft: Draft, need: Need) -> None:
    """Leave the dialog as the need says: waiting, or over."""
    dialog = draft.state.dialog
    over = last_words(dialog) if dialog is not None else None
    match need:
        case Receive():
            draft.dialog_status("waiting", private=need.private)
            timer = draft.state.timer("receive")
            if need.timeout is not None:
                due = need.since + timedelta(seconds=need.timeout)
                draft.set_timer("receive", due, position=need.position)
            elif timer is not None:
                draft.end_timer(timer, "cancelled")
        case Finished():
            draft.end_dialog("completed", None)
            if need.ends_session:
                draft.end_session("ended")
        case Failed():
            fail(draft, "failed", need.summary, kind="bot_failed")
        case Diverged():
            fail(draft, "diverged", f"position {need.position}: {need.reason}", kind="diverged")
        case Handover():
            if not outcome_due(draft.state):
                draft.dialog_status("waiting", private=need.private)
        case _:
            raise AssertionError(f"{type(need).__name__} is no rest")
    ended = over == "user_left" or (over is not None and draft.state.dialog is None)
    if over is not None and ended and draft.state.control == "bot":
        draft.end_session(over)


def fail(draft: Draft, status: str, summary: str, *, kind: str) -> None:
    """The bot can't go on: the user hears so, ops see an incident."""
    dialog = draft.state.dialog
    assert dialog is not None
    draft.end_dialog(status, summary[:500])
    draft.incident(kind, dialog=dialog.id, bot=dialog.bot, error=summary[:500])
    apologise(draft)
    log.error(
        kind, endpoint=draft.state.endpoint, conversation=draft.state.id, dialog=dialog.id, error=summary
    )


def restart(draft: Draft, need: Diverged) -> bool:
    """Close a diverged dialog and begin a new one with the input that found it out.

    False where that is not safe: a step has begun (its effects are out there), the session has seen a
    divergence before, or no input is at hand.
    """
    state = draft.state
    dialog, session = state.dialog, state.session
    assert dialog is not None and session is not None
    session.divergences += 1
    draft.save_session()
    taken = draft.changes.journal[-1] if draft.changes.journal else None
    if (
        session.divergences > 1
        or taken is None
        or taken["kind"] != "input"
        or taken["dialog_id"] != dialog.id
        or any(entry.kind == "step" for entry in dialog.entries)
    ):
        return False
    draft.changes.journal.pop()
    entry = dialog.entries.pop()
    draft.end_dialog("diverged", f"position {need.position}: {need.reason}"[:500])
    draft.incident("diverged", dialog=dialog.id, bot=dialog.bot, error=need.reason, restarted=True)
    start_dialog(draft)
    content = {name: value for name, value in entry.content.items() if name != "contact"}
    draft.journal(replace(entry, content=content))
    new = state.dialog
    assert new is not None
    for row in (*draft.changes.handled, *draft.changes.messages):
        if row["dialog_id"] == dialog.id:
            row["dialog_id"] = new.id
    return True
