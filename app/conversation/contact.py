"""`chat.contact`: what is known of the user, and what the bot learns.

What a bot changes is a note in the journal, so that a replay skips it, and reaches the contact's profile with
the turn. A bot's word is a bot's word: it never makes two contacts one, only what the channel verified does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.conversation.jsonvalue import check_json, copy_json
from app.errors import BotError

#: What a profile holds beside custom and consent fields; each a text.
FIELDS = frozenset({"name", "email", "phone", "company", "language"})
#: Names of the notes: what `update` was given; `deactivate`.
UPDATE, DEACTIVATE = "contact", "contact_inactive"

Note = Callable[[str, dict[str, Any]], None]


class Contact(Mapping[str, Any]):
    """Name, email, phone, language, custom, consent, …: as the channel and the bot told. A mapping."""

    __slots__ = ("_note", "_profile")

    def __init__(self, profile: Mapping[str, Any], note: Note) -> None:
        self._profile: dict[str, Any] = copy_json(dict(profile))
        self._note = note

    def __getitem__(self, name: str) -> Any:
        return self._profile[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._profile)

    def __len__(self) -> int:
        return len(self._profile)

    def update(
        self,
        *,
        custom: Mapping[str, Any] | None = None,
        consent: Mapping[str, bool] | None = None,
        **fields: str | None,
    ) -> None:
        """Keep what the user told: name, email, phone, company, language; None forgets one. Nothing to await.

        `custom` are fields of your own (JSON values), `consent` what the user agreed to or refused, such as
        {"marketing": False}; both are added to what is there.
        """
        unknown = fields.keys() - FIELDS
        if unknown:
            known = ", ".join(sorted(FIELDS))
            raise BotError(f"chat.contact.update() knows {known}, custom and consent.")
        if any(value is not None and not isinstance(value, str) for value in fields.values()):
            raise BotError("chat.contact.update() takes texts.")
        if any(not isinstance(value, bool) for value in (consent or {}).values()):
            raise BotError("chat.contact.update(consent=) takes True or False for each name.")
        news: dict[str, Any] = check_json(dict(fields), "chat.contact.update()")
        for name, values in (("custom", custom), ("consent", consent)):
            if values:
                news[name] = check_json(dict(values), f"chat.contact.update({name}=)")
        self._profile = merged(self._profile, news)
        self._note(UPDATE, news)

    def deactivate(self) -> None:
        """Mark the contact inactive: its profile is kept, but no session adds to it any more."""
        self._note(DEACTIVATE, {})


def merged(profile: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """A profile with news in it: custom and consent fields are added, None removes."""
    result = dict(profile)
    for name, value in news.items():
        if name in ("custom", "consent") and isinstance(value, Mapping):
            value = {**(result.get(name) or {}), **value}
        result[name] = value
    return {name: value for name, value in result.items() if value is not None}
