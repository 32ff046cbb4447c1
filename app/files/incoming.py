"""A file that a user sent: fetched, sniffed, scanned, stored."""

from __future__ import annotations

import asyncio
import traceback
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import structlog

from app.endpoints import Endpoint
from app.endpoints_storage import Files
from app.files import clamd
from app.files.addresses import Reach
from app.files.fetching import Fetcher, FetchFailed, Source
from app.files.rows import Fetched
from app.files.sniffing import sniff
from app.files.spool import Spool
from app.files.store import FileStore, StorageFailed
from app.gateway.transport import PREFIX, credentials

log = structlog.get_logger(__name__)

#: Files of one endpoint that are fetched at a time in one worker: slow ones hold up no other endpoint's.
_AT_ONCE = 4
#: Seconds that ClamAV gets for a file at least, bytes a second of large ones, and bytes it is told at a time.
_SCAN = 10.0
_SCANNED = 4 * 1024 * 1024
_PIECE = 64 * 1024


class Again(Exception):
    """Another attempt may have the file; `failed` is what becomes of it if there is none."""

    def __init__(self, failed: Fetched) -> None:
        super().__init__(failed.reason)
        self.failed = failed


class Incoming:
    """Has files fetched. Nothing of a file, its name or its URL is logged."""

    def __init__(self, settings: Files, store: FileStore, fetcher: Fetcher | None = None) -> None:
        self._settings = settings
        self._store = store
        self._fetcher = fetcher or Fetcher()
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))

    async def take(
        self,
        endpoint: Endpoint,
        conversation: str,
        attachment: Mapping[str, Any],
        key: str,
        *,
        within: float,
        last: bool,
    ) -> Fetched:
        """One attempt to have the file stored under `key`, in at most `within` seconds. Raises Again.

        `last`: no other follows, so that the settings decide of a file that could not be scanned.
        """
        try:
            async with asyncio.timeout(within), self._turns[endpoint.name]:
                with Spool(self._settings.max_size) as spool:
                    await self._fetch(endpoint, conversation, attachment, spool)
                    return await self._keep(endpoint, attachment.get("name"), key, spool, last=last)
        except TimeoutError:
            return Fetched("failed", "timeout")
        except StorageFailed as error:
            log.error("file_not_stored", endpoint=endpoint.name, error=str(error))
            raise Again(Fetched("failed", "storage")) from None
        except Again:
            raise
        except FetchFailed as error:
            return Fetched("failed", error.reason)
        except Exception as error:  # it came from outside: whatever is wrong with it, the message counts
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("file_failed", endpoint=endpoint.name, error=type(error).__name__, where=where)
            return Fetched("failed", "internal")

    async def _keep(self, endpoint: Endpoint, name: object, key: str, spool: Spool, *, last: bool) -> Fetched:
        """Sniff, scan and store what was fetched."""
        about = Fetched(
            "stored",
            type=sniff(spool.head, name if isinstance(name, str) else None),
            size=spool.size,
            sha256=spool.sha256,
        )
        if self._settings.clamd is not None:
            try:
                seconds = max(_SCAN, spool.size / _SCANNED)
                verdict = await clamd.scan(self._settings.clamd, spool.pieces(_PIECE), timeout=seconds)
                about = replace(about, scan=verdict.result, signature=verdict.signature)
            except (clamd.ScannerAway, clamd.NotScanned) as error:
                log.error("file_not_scanned", endpoint=endpoint.name, error=str(error))
                refused = replace(about, state="failed", reason="not_scanned")
                if not last and isinstance(error, clamd.ScannerAway):
                    raise Again(refused) from None
                if self._settings.unscanned == "refuse":
                    return refused
        if about.scan == "infected":
            return replace(about, state="infected", reason="infected")
        await self._store.put(key, spool.pieces())
        return about

    async def _fetch(
        self, endpoint: Endpoint, conversation: str, attachment: Mapping[str, Any], spool: Spool
    ) -> None:
        """From the first source that gives it; where none does, the most hopeful failure counts."""
        reach = Reach.of(endpoint, self._settings.allow)
        failures: list[FetchFailed] = []
        for source in _sources(endpoint, conversation, attachment):
            try:
                await self._fetcher.fetch(source, reach, spool)
                return
            except FetchFailed as error:
                failures.append(error)
                if error.reason == "too_big":
                    break
        last = failures[-1] if failures else FetchFailed("no_source")
        failure = next((each for each in failures if each.again), last)
        log.warning("file_not_fetched", endpoint=endpoint.name, reason=failure.reason)
        raise (Again(Fetched("failed", failure.reason)) if failure.again else failure)


def _sources(endpoint: Endpoint, conversation: str, attachment: Mapping[str, Any]) -> list[Source]:
    """Where a file is: at its pre-signed URL, and at the gateway, which wants the API key."""
    sources = []
    if url := attachment.get("url"):
        sources.append(Source(str(url), {}))
    if (identity := attachment.get("id")) and identity not in (".", ".."):
        place = f"{quote(conversation, safe='')}/attachments/{quote(str(identity), safe='')}/content"
        base = endpoint.eightxeight.base_url.rstrip("/")
        sources.append(Source(f"{base}{PREFIX}/conversations/{place}", credentials(endpoint)))
    return sources
