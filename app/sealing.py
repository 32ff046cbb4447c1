"""Encryption of what is kept for replays: AES-256-GCM with the key in PARLEY_ENCRYPTION_KEY.

A sealed JSON value is `{"sealed": base64 of nonce and ciphertext}`, sealed bytes are `sealed:` and the same
without base64. What isn't sealed is returned as it is, so that `encrypt` may be switched on and off.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import ConfigurationError

VARIABLE = "PARLEY_ENCRYPTION_KEY"
_PREFIX = b"sealed:"
_NONCE = 12


class Sealer:
    """Seals and opens with one key. Older keys only open: `PARLEY_ENCRYPTION_KEY=new,old`."""

    def __init__(self, keys: list[bytes]) -> None:
        self._ciphers = [AESGCM(key) for key in keys]
        self._digest_keys = [sha256(b"digest" + key).digest() for key in keys]

    def seal(self, value: Any) -> dict[str, Any]:
        """A JSON value, sealed."""
        return {"sealed": base64.b64encode(self._encrypt(msgspec.json.encode(value))).decode()}

    def seal_bytes(self, content: bytes) -> bytes:
        """Bytes, sealed."""
        return _PREFIX + self._encrypt(content)

    def seal_piece(self, content: bytes, place: bytes) -> bytes:
        """A piece of something long. It opens only at its `place`."""
        nonce = os.urandom(_NONCE)
        return nonce + self._ciphers[0].encrypt(nonce, content, place)

    def open_piece(self, content: bytes, place: bytes) -> bytes:
        """The piece. Raises ConfigurationError where no key fits, or it belongs elsewhere."""
        if len(content) <= _NONCE:
            raise ConfigurationError("something of what is stored is missing")
        return self._decrypt(content, place)

    def open(self, value: Any) -> Any:
        """What was sealed. Raises ConfigurationError where no key fits."""
        sealed = sealed_part(value)
        return value if sealed is None else msgspec.json.decode(self._decrypt(base64.b64decode(sealed)))

    def digest(self, text: str) -> str:
        """Tells whether two texts are the same, without telling what they say; "" for an empty one."""
        return self.digests(text)[0]

    def digests(self, text: str) -> list[str]:
        """The same by every key, the newest first."""
        if not text:
            return [""]
        return [
            "hmac:" + hmac.new(key, text.encode(), "sha256").hexdigest()[:40] for key in self._digest_keys
        ]

    def _encrypt(self, content: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._ciphers[0].encrypt(nonce, content, None)

    def _decrypt(self, content: bytes, place: bytes | None = None) -> bytes:
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(content[:_NONCE], content[_NONCE:], place)
            except InvalidTag:
                continue
        raise ConfigurationError(f"{VARIABLE} does not open what is stored")


def sealed_part(value: Any) -> str | None:
    """The ciphertext of a sealed JSON value; None where it isn't one."""
    sealed = value.get("sealed") if isinstance(value, dict) else None
    return sealed if isinstance(sealed, str) else None


def unseal(value: Any) -> Any:
    """A JSON value as it was before it was perhaps sealed. Costs one look where it wasn't."""
    return value if sealed_part(value) is None else sealer().open(value)


def fingerprint(text: str) -> str:
    """Tells whether two texts are the same to who knows one of them; made without a key."""
    return "sha256:" + sha256(text.encode()).hexdigest()[:40]


def digests(text: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Digests of a text by the environment's keys, the newest first; none where it has no key."""
    return sealer(environ).digests(text) if environ.get(VARIABLE) else []


def sealer(environ: Mapping[str, str] = os.environ) -> Sealer:
    """The one with the environment's key. Raises ConfigurationError where that isn't set or isn't one."""
    return _sealer(environ.get(VARIABLE, ""))


@lru_cache(maxsize=4)
def _sealer(text: str) -> Sealer:
    return Sealer([_key(part.strip()) for part in text.split(",")])


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ConfigurationError(f"{VARIABLE} must be 32 bytes in base64, as `parley key new` prints them")
    return key


def new_key() -> str:
    """A key to set the variable to."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
