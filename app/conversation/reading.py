"""Drives a bot that reads and says files.

What it reads is read for it at every replay anew; what it says is kept once, when it is said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.conversation.driver import Driver
from app.conversation.journal import Entry
from app.conversation.needs import Failed, Need, ReadFile, StoreFiles
from app.errors import ParleyError
from app.files.reading import Reader
from app.files.service import FileService

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


def signed_anew(entries: Sequence[Entry], files: FileService | None, now: datetime) -> Sequence[Entry]:
    """The journal with URLs of its files that open them from now on: those it has may have expired."""
    if files is None or not has_files(entries):
        return entries
    return [_signed_anew(entry, files, now) if entry.kind == "input" else entry for entry in entries]


def _signed_anew(entry: Entry, files: FileService, now: datetime) -> Entry:
    message = entry.content["message"]
    signed = [
        {**each, "url": files.url(each["file"], now)} if each.get("file") else each
        for each in message.get("attachments") or ()
    ]
    return replace(entry, content={**entry.content, "message": {**message, "attachments": signed}})
