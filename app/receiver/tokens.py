"""From the last part of an endpoint's URL to the endpoint."""

from __future__ import annotations

import hashlib
import hmac

from app.endpoints import Endpoint, Endpoints
from app.errors import EventRefused


class Tokens:
    """Finds endpoints by their tokens, in a time that tells nothing about them."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.replace(endpoints)

    def replace(self, endpoints: Endpoints) -> None:
        """Know these from now on."""
        self._all = [
            (_digest(token), endpoint) for endpoint in endpoints.endpoints for token in endpoint.tokens
        ]

    def endpoint(self, token: str) -> Endpoint:
        """The endpoint of a token. Raises EventRefused (404) for an unknown token or a disabled endpoint."""
        given = _digest(token)
        found: Endpoint | None = None
        for digest, endpoint in self._all:  # all of them, whether found or not
            if hmac.compare_digest(digest, given):
                found = endpoint
        if found is None or found.enabled is False:
            raise EventRefused(404, "No such endpoint")
        return found


def _digest(token: str) -> bytes:
    """Of one length, so that comparing takes as long for each."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
