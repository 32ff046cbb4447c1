"""`parley token new` and `parley key new`: secrets to put into the environment."""

from __future__ import annotations

import hashlib
import secrets

from app.sealing import VARIABLE, new_key


def run_token() -> None:
    """Print a bearer token for a service that calls in, and the hash that endpoints.yaml gets."""
    token = secrets.token_urlsafe(32)
    print(f"token (for the service, shown only now): {token}")  # noqa: T201
    digest = hashlib.sha256(token.encode()).hexdigest()
    print(f"hash (for endpoints.yaml, callers.tokens): sha256:{digest}")  # noqa: T201


def run_key() -> None:
    """Print a key to encrypt with."""
    print(f"{VARIABLE}={new_key()}")  # noqa: T201
