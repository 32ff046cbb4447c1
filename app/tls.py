"""The certificates by which servers are known: read once for a process, since that takes 25 ms each time."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def certificates(*, trust_env: bool = True) -> ssl.SSLContext:
    """The usual ones; `trust_env`: or those that SSL_CERT_FILE or SSL_CERT_DIR name."""
    return httpx.create_ssl_context(trust_env=trust_env)
