"""8x8's public keys, kept as long as they are good for.

A key that was found serves for an hour and is then fetched again while it goes on serving; a fetch that
fails changes nothing. One that is unknown to 8x8 is remembered for 30 seconds, a failure not at all. Each
key is fetched once at a time, and unseen key ids are fetched at a bounded rate for each source, so that
random ids can't be turned into a flood.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

import structlog
from joserfc.jwk import RSAKey

from app.errors import EventRefused

log = structlog.get_logger()

Clock = Callable[[], float]
#: Fetches a JWK's URL: the key, or None where there is no such key; raises KeyServiceAway.
Fetch = Callable[[str], Awaitable[RSAKey | None]]


class KeyUnknown(EventRefused):
    """8x8 knows no such key."""

    def __init__(self) -> None:
        super().__init__(401, "The signature's key is unknown")


class KeyServiceAway(EventRefused):
    """The key that a signature needs can't be had now."""

    def __init__(self, reason: str) -> None:
        super().__init__(503, f"The signature's key can't be had now: {reason}")


class Fetched(StrEnum):
    """How a fetch ended, for the metrics."""

    FOUND = "found"
    UNKNOWN = "unknown"
    FAILED = "failed"
    LIMITED = "limited"


@dataclass(slots=True)
class _Known:
    key: RSAKey
    refresh_at: float
    missed: bool = False


class TokenBucket:
    """Lets `burst` through at once, and `rate` a second."""

    def __init__(self, *, rate: float, burst: float, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()

    def take(self) -> bool:
        """Whether one more may pass."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class KeyCache:
    """Public keys by the URL of their JWK. Times in seconds."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        clock: Clock = time.monotonic,
        keep: float = 3600.0,
        keep_miss: float = 30.0,
        rate: float = 1.0,
        burst: float = 20.0,
        on_fetch: Callable[[Fetched], None] = lambda _: None,
    ) -> None:
        self._fetch, self._clock, self._on_fetch = fetch, clock, on_fetch
        self._keep, self._keep_miss = keep, keep_miss
        self._rate, self._burst = rate, burst
        self._known: dict[str, _Known] = {}
        self._misses: dict[str, float] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._fetching: dict[str, asyncio.Task[RSAKey | KeyServiceAway | None]] = {}

    @property
    def fetching(self) -> int:
        """Fetches under way."""
        return len(self._fetching)

    async def get(self, source: str, url: str) -> RSAKey:
        """The key at `url`, asked for by `source` (an endpoint). Raises KeyUnknown or KeyServiceAway."""
        known = self._known.get(url)
        if known is not None:
            if self._clock() >= known.refresh_at and url not in self._fetching:
                self._start(url)
            return known.key
        if self._clock() < self._misses.get(url, 0.0):
            raise KeyUnknown
        task = self._fetching.get(url)
        if task is None:
            if not self._bucket(source).take():
                self._on_fetch(Fetched.LIMITED)
                raise KeyServiceAway("too many unknown keys")
            task = self._start(url)
        found = await asyncio.shield(task)  # a request that goes away takes no other's key with it
        if found is None:
            raise KeyUnknown
        if isinstance(found, KeyServiceAway):
            raise KeyServiceAway("the key service does not answer")
        return found

    async def aclose(self) -> None:
        """Stop what is being fetched."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _bucket(self, source: str) -> TokenBucket:
        bucket = self._buckets.get(source)
        if bucket is None:
            bucket = TokenBucket(rate=self._rate, burst=self._burst, clock=self._clock)
            self._buckets[source] = bucket
        return bucket

    def _start(self, url: str) -> asyncio.Task[RSAKey | KeyServiceAway | None]:
        task = asyncio.create_task(self._refresh(url))
        self._fetching[url] = task
        task.add_done_callback(lambda _: self._fetching.pop(url, None))
        return task

    async def _refresh(self, url: str) -> RSAKey | KeyServiceAway | None:
        try:
            found = await self._fetch(url)
        except KeyServiceAway as away:
            return self._failed(url, away)
        if found is None:
            return self._missing(url)
        self._on_fetch(Fetched.FOUND)
        self._known[url] = _Known(found, self._clock() + self._keep)
        return found

    def _failed(self, url: str, away: KeyServiceAway) -> RSAKey | KeyServiceAway:
        """Nothing is learned from a failure: the old key goes on serving."""
        self._on_fetch(Fetched.FAILED)
        known = self._known.get(url)
        log.warning("key_fetch_failed", url=url, reason=str(away), kept=known is not None)
        if known is None:
            return away
        known.refresh_at = self._clock() + self._keep_miss
        return known.key

    def _missing(self, url: str) -> RSAKey | None:
        """A key that served is dropped when it is missing twice in a row: once may be a mishap."""
        self._on_fetch(Fetched.UNKNOWN)
        now = self._clock()
        known = self._known.get(url)
        if known is not None and not known.missed:
            log.warning("key_missing", url=url, kept=True)
            known.missed, known.refresh_at = True, now + self._keep_miss
            return known.key
        self._known.pop(url, None)
        self._misses = {missed: until for missed, until in self._misses.items() if until > now}
        self._misses[url] = now + self._keep_miss
        log.warning("key_missing", url=url, kept=False)
        return None
