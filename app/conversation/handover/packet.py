"""What an agent gets to see of a conversation that is handed over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from app.conversation.state import ConversationState
from app.endpoints import Endpoint
from app.receiver.storing import without_ip
from app.sealing import fingerprint

#: 8x8's limit.
MOST_PROPERTIES = 30
#: Characters of a value, and of a key; 8x8 publishes no limit.
LONGEST_VALUE = 1000
LONGEST_KEY = 100
#: Properties that only Parley uses, whether its database still knows of it or not.
OWN_WORDS = ("summary", "note", "transcript")
#: Notes for the agent: "note", then "note 2", "note 3", …
_NOTE = re.compile(r"note( \d+)?")
#: Details of the contact that 8x8 has fields for.
_USER = ("name", "email", "phone", "company", "caseId", "language")


def user_data(
    state: ConversationState,
    endpoint: Endpoint,
    *,
    properties: Mapping[str, Any] | None = None,
    summary: str | None = None,
) -> dict[str, Any]:
    """The `user` of the assignment's request: what is known of the contact, and at most 30 properties.

    The bot's own properties come first, then the endpoint's, then what Parley knows; the rest is left out.
    """
    settings = endpoint.handover
    known: dict[str, Any] = {}
    if summary:
        known["summary"] = summary
    known.update(properties or {})
    known.update({key: value for key, value in settings.properties.items() if key not in known})
    facts = {
        "channel": state.channel,
        "language": state.contact.get("language"),
        "intent": _intent(state),
        "transcript": settings.transcript_url.format(id=state.id) if settings.transcript_url else None,
    }
    known.update({key: value for key, value in facts.items() if value and key not in known})
    pairs = [
        {"key": str(key)[:LONGEST_KEY], "value": _cut(value)}
        for key, value in known.items()
        if value is not None and str(key).strip()
    ]
    user = {name: _cut(state.contact[name]) for name in _USER if state.contact.get(name)}
    packet = {**user, "additionalProperties": pairs[:MOST_PROPERTIES]}
    return without_ip(packet) if endpoint.mask_ip_address else packet


def keys_shown(state: ConversationState, packet: Iterable[Mapping[str, Any]]) -> list[str]:
    """Fingerprints of the properties that agents were shown so far, with these: a key may be a text too."""
    return sorted({*_keys_before(state), *(fingerprint(str(pair["key"])) for pair in packet)})


def shown(state: ConversationState, key: str) -> bool:
    """Whether the property is ours: 8x8 tells it to us again, but it is no detail of the contact."""
    return key in OWN_WORDS or bool(_NOTE.fullmatch(key)) or fingerprint(key) in _keys_before(state)


def _keys_before(state: ConversationState) -> frozenset[str]:
    if state.handover is not None:
        return frozenset(state.handover.settings.get("shown", ()))
    return state.ended_handover.shown if state.ended_handover is not None else frozenset()


def with_note(state: ConversationState, endpoint: Endpoint, note: str) -> dict[str, Any]:
    """The `user` of a request that shows the agent a note, above those before and what was shown at first."""
    handover = state.handover
    before = handover.noted or handover.settings.get("packet") or [] if handover is not None else []
    number = sum(1 for pair in before if _NOTE.fullmatch(pair["key"])) + 1
    pairs = [{"key": "note" if number == 1 else f"note {number}", "value": _cut(note)}, *before]
    user = {"additionalProperties": pairs[:MOST_PROPERTIES]}
    user = without_ip(user) if endpoint.mask_ip_address else user
    if handover is not None:
        handover.noted = user["additionalProperties"]
    return user


def _intent(state: ConversationState) -> str | None:
    """What the bot marked last with `chat.intent` in the open dialog."""
    for entry in reversed(state.dialog.entries if state.dialog is not None else []):
        if entry.kind == "note" and entry.name == "intent":
            return str(entry.content.get("value") or "") or None
    return None


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
