"""What a bot notes in its journal about people's data, taken into account with the turn."""

from __future__ import annotations

from app.contacts.known_by import know
from app.conversation.contact import DEACTIVATE, UPDATE, merged
from app.conversation.draft import Draft
from app.conversation.journal import Entry
from app.conversation.marks import MARKS
from app.conversation.privacy.dropped import drop
from app.conversation.privacy.stretch import DROP, PRIVATE


def take(draft: Draft, entry: Entry, position: int) -> None:
    """Do what a note of the bot asks for."""
    if entry.name in MARKS:
        if draft.endpoint.collect_analytics and not entry.content.get("private"):
            draft.mark(entry, position)
    elif entry.name == PRIVATE:
        _private(draft)
    elif entry.name == DROP:
        _private(draft)
        drop(draft, entry.content["field"])
    elif entry.name == UPDATE:
        draft.state.contact = merged(draft.state.contact, entry.content)
        draft.changes.contact_news = merged_news(draft.changes.contact_news, entry.content)
        know(draft, entry.content)
    elif entry.name == DEACTIVATE:
        draft.changes.contact_inactive = True


def merged_news(before: dict[str, object] | None, news: dict[str, object]) -> dict[str, object]:
    """Two updates of a contact as one; None still removes a field."""
    result: dict[str, object] = dict(before or {})
    for name, value in news.items():
        known = result.get(name)
        both = isinstance(value, dict) and isinstance(known, dict)
        result[name] = {**known, **value} if both else value  # type: ignore[dict-item]  # both are
    return result


def _private(draft: Draft) -> None:
    session = draft.state.session
    assert session is not None
    session.private = True
