"""URLs of files: signed, and good for a time. Who has one may read that file, and nothing else.

    {public URL}/files/{number}?expires={seconds since 1970}&signature={HMAC-SHA256 of number and expires}

The key is PARLEY_FILES_KEY, else one made at the first start and kept in PARLEY_HOME/files.key. To rotate it,
set `PARLEY_FILES_KEY=new,old` until the last URL of the old one has expired: the first signs, all open.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from app.errors import ConfigurationError
from app.settings import Settings

_SHORTEST = 16


class Links:
    """Makes and checks URLs."""

    def __init__(self, keys: list[bytes], base_url: str) -> None:
        self._keys = keys
        self._base_url = base_url.rstrip("/")

    def url(self, number: str, expires: datetime) -> str:
        """The URL of the file with this number."""
        until = int(expires.timestamp())
        return (
            f"{self._base_url}/files/{number}?expires={until}&signature={_sign(self._keys[0], number, until)}"
        )

    def opens(self, number: str, expires: str | None, signature: str | None, now: datetime) -> bool:
        """Whether a URL with these parts is one of ours and hasn't expired."""
        if expires is None or signature is None or not (expires.isascii() and expires.isdigit()):
            return False
        until = int(expires[:12])
        given = signature.encode("utf-8", "replace")
        signed = [hmac.compare_digest(_sign(key, number, until).encode(), given) for key in self._keys]
        return any(signed) and now.timestamp() < until


def _sign(key: bytes, number: str, until: int) -> str:
    digest = hmac.new(key, f"file\n{number}\n{until}".encode(), "sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def open_links(settings: Settings) -> Links:
    """With this process's keys. Raises ConfigurationError."""
    base_url = settings.public_url or f"http://{settings.host}:{settings.port}"
    return Links(_keys(settings.files_key, settings.home), base_url)


def _keys(given: SecretStr | None, home: Path) -> list[bytes]:
    if given is None:
        return [_kept_key(home / "files.key")]
    keys = [part.strip().encode() for part in given.get_secret_value().split(",")]
    if any(len(key) < _SHORTEST for key in keys):
        raise ConfigurationError(f"PARLEY_FILES_KEY: each key must have at least {_SHORTEST} characters")
    return keys


def _kept_key(path: Path) -> bytes:
    """The key in the file, made by whichever process comes first. Raises ConfigurationError."""
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{path} can't be used: {error.strerror}") from None
    if len(key) < _SHORTEST:
        raise ConfigurationError(f"{path} holds no key: delete it to have another one made")
    return key


def _make_key(path: Path) -> None:
    """Written aside and linked: nobody reads half a key, and there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
