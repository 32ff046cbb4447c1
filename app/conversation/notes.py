"""Events that start nothing: what they change about a conversation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from app.contacts.known_by import know
from app.conversation.contact import merged
from app.conversation.draft import Draft
from app.conversation.handover.following import conversation_over, follow, of_the_last, remember, takes_over
from app.conversation.handover.packet import shown
from app.conversation.language import languages
from app.conversation.privacy.lines import NOTIFY
from app.conversation.state import ConversationState, WaitingEvent
from app.gateway import meaning as gateway

#: Details of the user that make the contact's profile.
_PROFILE = ("name", "userId", "email", "phone", "company", "caseId", "language", "timezoneOffset")

#: What a transcript keeps of a file.
_OF_FILE = ("id", "type", "name", "size", "state", "reason", "scan")


def note(draft: Draft, event: WaitingEvent, meaning: gateway.Meaning) -> str:
    """Take over what the event says; the outcome to store with it."""
    match meaning:
        case gateway.Echo():
            draft.changes.confirmed.append({"text": meaning.text, "at": event.received_at})
            if not draft.state.sessions:  # of something that is forgotten: its contact may have been erased
                draft.changes.erase_events.append(event.id)
            return "echo"
        case gateway.AgentMessage():
            _agent_message(draft, event, meaning)
            follow(draft, event, meaning)
            return "noted"
        case gateway.StateChange():
            return state_change(draft, event, meaning)
        case gateway.MemberChange(member_type="user", change="left"):
            _over(draft, event, "user_left")
            return "noted"
        case gateway.Queued() | gateway.MemberChange() | gateway.Transfer():
            follow(draft, event, meaning)
            return "noted"
        case gateway.Injected():
            return "held"  # until the bot has the conversation again
        case gateway.Notice():
            return _notice(draft, meaning)
        case gateway.Unknown():
            return "ignored"
        case _:
            return "noted"


def _notice(draft: Draft, meaning: gateway.Notice) -> str:
    """Send it as it is. A human may have taken the conversation since it was accepted."""
    if draft.state.control != "bot":
        draft.incident("notify_refused", control=draft.state.control)
        return "refused"
    keep_storage(draft, meaning.storage)
    content: dict[str, Any] = {"text": meaning.text}
    if meaning.data is not None:
        raw = {**meaning.data, "text": meaning.text} if meaning.text else meaning.data
        content = {"text": raw.get("text"), "raw": raw}
    if draft.in_private():
        content["private"] = True
    draft.deliver("message", content, line=NOTIFY)
    return "sent"


def keep_storage(draft: Draft, storage: dict[str, Any] | None) -> None:
    """What a service's transformer kept for the session."""
    if storage is not None and draft.state.session is not None:
        draft.state.session.storage = storage
        draft.save_session()


def _agent_message(draft: Draft, event: WaitingEvent, meaning: gateway.AgentMessage) -> None:
    message = meaning.message
    handover = draft.state.handover
    if handover is not None and handover.machine.open:
        remember(draft, handover, "agent", message, event)
    ended = draft.state.ended_handover
    if draft.in_private() or (ended is not None and ended.private and of_the_last(ended, event)):
        return
    draft.transcript(
        "agent",
        at=event.at,
        text=message.get("text"),
        kind=str(message.get("kind", "text")),
        content=extras(message),
        event_id=event.id,
        author_id=meaning.agent_id,
    )


def state_change(draft: Draft, event: WaitingEvent, meaning: gateway.StateChange) -> str:
    """Take over state, assignment, channel and user, unless newer ones are known."""
    state = draft.state
    if is_older(state, event.at):
        return "ignored"
    columns = draft.changes.conversation
    state.state_at = columns["state_at"] = event.at
    if meaning.state in ("created", "active", "idle"):
        state.state = columns["state"] = meaning.state
    news = meaning.assignment is not None and meaning.assignment != state.assignment
    if meaning.assignment is not None:
        state.assignment = columns["assignment"] = meaning.assignment
    if meaning.channel is not None:
        state.channel = columns["channel"] = meaning.channel
    if meaning.user is not None or meaning.msisdn is not None:
        take_contact(draft, meaning)
    if is_test(meaning):
        columns["is_test"] = True
    if meaning.state == "idle":
        _over(draft, event, "idle")
    else:
        follow(draft, event, meaning, news=news)
    return "noted"


def human_comes(state: ConversationState, waiting: Iterable[WaitingEvent]) -> bool:
    """Whether one of these events will show that a human has the conversation, though nobody asked."""
    return any(_shows_a_human(state, event, gateway.interpret(event.payload or {})) for event in waiting)


def leave_to_the_human(draft: Draft) -> None:
    """Withhold what this transaction would say or ask for: a human has the conversation by now."""
    why = "a human has the conversation"
    draft.withhold(why)
    if draft.state.handover is not None:
        draft.withhold(why, handover=draft.state.handover.id)


def _shows_a_human(state: ConversationState, event: WaitingEvent, meaning: gateway.Meaning) -> bool:
    news = True
    if isinstance(meaning, gateway.StateChange):
        news = meaning.assignment != state.assignment and not is_older(state, event.at)
    return takes_over(state, event, meaning, news)


def _over(draft: Draft, event: WaitingEvent, reason: str) -> None:
    """The session ends; but where a handover ended with it, the dialog hears of that first."""
    if not conversation_over(draft, event, reason):
        draft.end_session(reason)


def is_test(meaning: gateway.StateChange) -> bool:
    """Whether the conversation says of itself that it is a test, as the sandbox's scenarios do."""
    pairs = (meaning.user or {}).get("additionalProperties")
    return isinstance(pairs, list) and {"key": "isTest", "value": "true"} in pairs


def is_older(state: ConversationState, at: datetime) -> bool:
    """Older state never overwrites newer."""
    return state.state_at is not None and at < state.state_at


def take_contact(draft: Draft, meaning: gateway.StateChange) -> None:
    """Merge the user's details into the contact."""
    user = meaning.user or {}
    profile: dict[str, Any] = {name: user[name] for name in _PROFILE if user.get(name) not in (None, "")}
    if meaning.msisdn:
        profile["msisdn"] = meaning.msisdn
    custom = {
        str(pair["key"]): pair.get("value")
        for pair in user.get("additionalProperties") or []
        if isinstance(pair, dict) and "key" in pair and not shown(draft.state, str(pair["key"]))
    }
    if custom:
        profile["custom"] = custom
    state = draft.state
    state.contact = merged(state.contact, profile)
    who = identity(state.external_id, user.get("userId"), meaning.msisdn, state.channel)
    know(draft, profile, who)
    draft.changes.contact = {
        "endpoint": state.endpoint,
        "identity": who if draft.endpoint.contact_profiles else f"conversation:{state.external_id}",
        "profile": profile,
    }
    told = languages(profile.get("language"))
    if state.session is not None and told[0] and told != (state.session.language, state.session.locale):
        state.session.language, state.session.locale = told
        draft.save_session()


def identity(external_id: str, user_id: Any, msisdn: str | None, channel: str | None) -> str:
    """Who this is, by what the channel has verified: never by an address somebody typed."""
    if user_id:
        return f"user:{user_id}"
    if msisdn and channel in ("WhatsApp", "SMS", "Viber", "RCS"):
        return f"address:{msisdn}"
    return f"conversation:{external_id}"


def extras(message: dict[str, Any]) -> dict[str, Any]:
    """What a transcript keeps of a message beside its text. Of a file no URL: who has one may read it."""
    kept = {
        name: value
        for name, value in message.items()
        if name not in ("text", "kind") and value not in (None, [], {})
    }
    if files := kept.get("attachments"):
        kept["attachments"] = [{name: each[name] for name in _OF_FILE if name in each} for each in files]
    return kept
