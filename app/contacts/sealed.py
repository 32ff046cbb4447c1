"""Contacts of endpoints that encrypt: a profile is sealed, and found by digests of what people look for.

A profile outlives its sessions, so it is no exception to "nothing else holds clear text". The language stays
readable: analytics count it, and it tells nobody. What tells contacts apart (a user id, a number) is a digest
too.
Rows from before `encrypt` was switched, or from before the key was changed, are still found, and written
anew when the contact is told of again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.sealing import digests, sealer, unseal

#: What a contact is looked for by, beside its identity.
_LOOKED_FOR = ("email", "phone", "msisdn", "name")


def sealed_profile(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A profile as it is stored where the endpoint encrypts."""
    box = sealer()
    found_by = {box.digest(plain_form(name, profile[name])) for name in _LOOKED_FOR if profile.get(name)}
    stored = {**box.seal(dict(profile)), "digests": sorted(found_by)}
    if profile.get("language"):
        stored["language"] = profile["language"]
    return stored


def opened_profile(stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """A profile as it was, sealed or not. Raises ConfigurationError where no key fits."""
    return dict(unseal(stored or {}))


def profile_digests(name: str, value: str) -> list[str]:
    """Digests, by every key there is, of a value that a profile is looked for by; none without a key."""
    return digests(plain_form(name, value))


def identities(identity: str, *, sealed: bool = False) -> tuple[str, list[str]]:
    """An identity ("user:…", "address:…", "conversation:…") as it is stored, and as it may be from before."""
    kind = identity.partition(":")[0]
    if kind == "conversation":  # 8x8's id, no person's
        return identity, []
    known = [f"{kind}:{digest}" for digest in digests(identity)]
    return (known[0], [identity, *known[1:]]) if sealed else (identity, known)


def identities_of(value: str) -> list[str]:
    """Every identity that a user id or number may be stored as."""
    return [each for kind in ("user", "address") for each in _all(f"{kind}:{value}")]


def _all(identity: str) -> list[str]:
    current, others = identities(identity)
    return [current, *others]


def plain_form(name: str, value: Any) -> str:
    """What is compared: an address without its case, a number by its digits."""
    text = str(value)
    if name in ("phone", "msisdn"):
        return "number:" + "".join(char for char in text if char.isdigit())
    return f"{name}:{text.lower() if name == 'email' else text}"
