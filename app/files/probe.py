"""Whether files can be stored and scanned, tried out: `parley check --files`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from app.endpoints_storage import Files
from app.errors import ConfigurationError
from app.files import clamd
from app.files.store import StorageFailed, new_key, open_store

_CONTENT = b"parley check"
#: Seconds for each.
_STORAGE, _CLAMD = 30.0, 5.0


async def problems(files: Files, home: Path) -> AsyncIterator[str]:
    """A line for each thing that doesn't work. An object is put, got and deleted; ClamAV is sent a PING."""
    try:
        async with asyncio.timeout(_STORAGE):
            await _store(files, home)
    except TimeoutError:
        yield f"files.storage did not answer within {_STORAGE:.0f} seconds"
    except (StorageFailed, ConfigurationError) as error:
        yield f"files.storage: {error}"
    if files.clamd is not None:
        try:
            await clamd.ping(files.clamd, timeout=_CLAMD)
        except clamd.ScannerAway as error:
            yield f"files.clamd: {error}"


async def _store(files: Files, home: Path) -> None:
    store, key = open_store(files, home), new_key()
    await store.put(key, _CONTENT)
    try:
        if await store.get(key) != _CONTENT:
            raise StorageFailed("What was put came back as something else")
    finally:
        await store.delete([key])
