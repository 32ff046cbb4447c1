"""Fetching a public key from 8x8: a JWK, or a string that holds one."""

from __future__ import annotations

import asyncio
import json
import warnings

import httpx
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import RSAKey

from app.endpoints import EightXEight
from app.gateway.keys import KeyServiceAway
from app.tls import certificates

#: Bytes of an answer that are read; a JWK has less than one thousand.
LIMIT = 64 * 1024
#: Answers that say there is no such key.
UNKNOWN = (400, 404, 410)


def key_url(settings: EightXEight, kid: str) -> str:
    """Where the JWK of a key id is. The id's characters must have been checked."""
    return settings.jwk_url.replace("{base_url}", settings.base_url.rstrip("/")).replace("{kid}", kid)


class KeyService:
    """Fetches keys without an API key (the call needs none), following no redirects."""

    def __init__(self, *, timeout: float = 3.0) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            verify=certificates(),
            timeout=timeout,
            follow_redirects=False,
            headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "parley"},
        )

    async def fetch(self, url: str) -> RSAKey | None:
        """The key at `url`, None where there is none. Raises KeyServiceAway for everything else."""
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._get(url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise KeyServiceAway(type(error).__name__) from None
        if status in UNKNOWN:
            return None
        if status != 200:
            raise KeyServiceAway(f"HTTP {status}")
        return read_key(body)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _get(self, url: str) -> tuple[int, bytes]:
        body = bytearray()
        async with self._client.stream("GET", url) as response:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LIMIT:
                    raise KeyServiceAway("the answer is too big")
        return response.status_code, bytes(body)


def read_key(body: bytes) -> RSAKey:
    """The public RSA key in an answer. Raises KeyServiceAway for what is none, so that it isn't kept."""
    try:
        value = json.loads(body)
        if isinstance(value, str):
            value = json.loads(value)
        if not isinstance(value, dict) or value.get("kty") != "RSA":
            raise KeyServiceAway("the answer is no RSA key")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # the size is checked below
            key = RSAKey.import_key({"kty": "RSA", "n": str(value["n"]), "e": str(value["e"])})
        size = key.public_key.key_size
    except (ValueError, TypeError, KeyError, RecursionError, JoseError):
        raise KeyServiceAway("the answer is no usable key") from None
    if not 2048 <= size <= 8192:
        raise KeyServiceAway("the key's size is not acceptable")
    return key
