"""Drives a bot that reads and says files.

What it reads is read for it at every replay anew; what it says is kept once, when it is said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from app.conversation.driver import Driver
from app.conversation.journal import Entry
from app.conversation.needs import Failed, Need, ReadFile, StoreFiles
from app.errors import ParleyError
from app.files.reading import Reader

#: Keeps files that are said: see StoreFiles.
Keep = Callable[[StoreFiles], Awaitable[dict[str, Any]]]


async def advance(driver: Driver, reader: Reader | None, keep: Keep | None = None) -> Need:
    """What the bot needs next, files apart. A file that can't be read now is the end of the dialog."""
    while isinstance(need := driver.run(), ReadFile | StoreFiles):
        try:
            if isinstance(need, StoreFiles):
                if keep is None:
                    return need  # only what was said before is of interest
                driver.attach(await keep(need))
                continue
            if reader is None:
                raise ParleyError("This process has no storage of files.")
            driver.provide(need.key, await reader.read(need.key))
        except ParleyError as error:
            return Failed(error, "read()")
    return need


def has_files(entries: Iterable[Entry]) -> bool:
    """Whether a journal has files that its bot may have read."""
    return any(entry.kind == "input" and entry.content["message"].get("attachments") for entry in entries)
