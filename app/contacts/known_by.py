"""What people are looked for by, kept with their conversations: it outlives profiles, and tells nobody.

A profile goes after `profile_ttl`, or with its session; what was said stays for as long as transcripts do.
So that it is still found, a conversation keeps digests of the user id, the numbers and the e-mails that were
told in it. Where the endpoint encrypts they are made with its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.contacts.sealed import plain_form
from app.conversation.draft import Draft
from app.sealing import digests, fingerprint, sealer

#: Digests of one conversation; beyond it the oldest go.
MOST = 100
#: What they are made of, beside the identity.
_FIELDS = ("email", "phone", "msisdn")


def know(draft: Draft, profile: Mapping[str, Any], identity: str = "") -> None:
    """Keep what was told of the user: details of a profile, and the identity that the channel verified."""
    told = [plain_form(name, profile[name]) for name in _FIELDS if profile.get(name)]
    told += [f"user:{profile['userId']}"] if profile.get("userId") else []
    told += [identity] if identity and not identity.startswith("conversation:") else []
    state = draft.state
    digest = sealer().digest if draft.endpoint.encrypt else fingerprint
    new = [each for each in dict.fromkeys(map(digest, told)) if each not in state.known_by]
    if new:
        state.known_by = [*state.known_by, *new][-MOST:]
        draft.changes.conversation["known_by"] = state.known_by


def by_id(id: str) -> list[str]:
    """Every digest that a user id or number may be kept as."""
    return _all([f"user:{id}", f"address:{id}"])


def by_detail(name: str, value: str) -> list[str]:
    """Every digest that an e-mail or phone number may be kept as."""
    return _all([plain_form(name, value)])


def _all(forms: Iterable[str]) -> list[str]:
    return [digest for form in forms for digest in (fingerprint(form), *digests(form))]
