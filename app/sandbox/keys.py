"""The sandbox's RSA signing keys: made, rotated, kept in a file, published as JWKs."""

import base64
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def base64url(data: bytes) -> str:
    """Base64 with the URL alphabet and without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _integer(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class SigningKey:
    """One RSA-2048 key with its id."""

    kid: str
    private: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> "SigningKey":
        """A fresh key with a random id."""
        return cls(base64url(secrets.token_bytes(16)), rsa.generate_private_key(65537, 2048))

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256: what JWA calls RS256."""
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())

    @cached_property
    def protected(self) -> bytes:
        """The protected JWS header of everything this key signs, encoded."""
        header = f'{{"b64":false,"crit":["b64"],"kid":"{self.kid}","alg":"RS256"}}'
        return base64url(header.encode()).encode()

    def jwk(self) -> dict[str, str]:
        """The public half as 8x8 publishes it."""
        numbers = self.private.public_key().public_numbers()
        return {"kty": "RSA", "e": _integer(numbers.e), "kid": self.kid, "n": _integer(numbers.n)}

    def pem(self) -> bytes:
        """The private half, unencrypted, for the key file."""
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


class KeyRing:
    """The key that signs now, and the public halves of those before it.

    With a folder the current key is kept there, so that a restarted sandbox signs with the same one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / "signing-key.pem" if folder else None
        self.current = self._load() or SigningKey.generate()
        self._public = {self.current.kid: self.current.jwk()}
        self._save()

    def public(self, kid: str) -> dict[str, str] | None:
        """The JWK for a key id, or None for an unknown one."""
        return self._public.get(kid)

    def kids(self) -> list[str]:
        """All key ids that are published, oldest first."""
        return list(self._public)

    def rotate(self, *, forget: bool = False) -> str:
        """Sign with a new key from now on; `forget` also unpublishes the old ones. Returns the new kid."""
        self.current = SigningKey.generate()
        if forget:
            self._public.clear()
        self._public[self.current.kid] = self.current.jwk()
        self._save()
        return self.current.kid

    def _load(self) -> SigningKey | None:
        if self._file is None or not self._file.exists():
            return None
        kid, _, pem = self._file.read_bytes().partition(b"\n")
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise ValueError(f"{self._file} holds no RSA key")
        return SigningKey(kid.decode(), private)

    def _save(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(self.current.kid.encode() + b"\n" + self.current.pem())
