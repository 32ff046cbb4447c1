"""Drives a bot that reads files: what it asks for is read for it, at every replay anew."""

from __future__ import annotations

from collections.abc import Iterable

from app.conversation.driver import Driver
from app.conversation.journal import Entry
from app.conversation.needs import Failed, Need, ReadFile
from app.errors import ParleyError
from app.files.reading import Reader


async def advance(driver: Driver, reader: Reader | None) -> Need:
    """What the bot needs next, files apart. A file that can't be read now is the end of the dialog."""
    while isinstance(need := driver.run(), ReadFile):
        try:
            if reader is None:
                raise ParleyError("This process has no storage of files.")
            driver.provide(need.key, await reader.read(need.key))
        except ParleyError as error:
            return Failed(error, "read()")
    return need


def has_files(entries: Iterable[Entry]) -> bool:
    """Whether a journal has files that its bot may have read."""
    return any(entry.kind == "input" and entry.content["message"].get("attachments") for entry in entries)
