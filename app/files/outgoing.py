"""Files that bots send: read or fetched, measured, and put into the storage under a key of their content."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from app.endpoints import Endpoint
from app.endpoints_storage import Files
from app.errors import ParleyError
from app.files.addresses import Reach
from app.files.fetching import Fetcher, FetchFailed, Source
from app.files.sniffing import sniff
from app.files.spool import Spool, TooBig
from app.files.store import FileStore, key_named
from app.sealing import sealer

_PIECE = 1024 * 1024


class NotToBeHad(ParleyError):
    """A bot's file can't be had. The message tells the bot's author what to do, and nothing of the file."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again
        """Another attempt may have it."""


@dataclass(frozen=True, slots=True)
class About:
    """What a file is by its bytes."""

    type: str
    size: int
    sha256: bytes


def missing(number: int) -> str:
    """What is wrong with a path that isn't there."""
    return (
        f"attachments[{number}] is no file that the worker can read: give a path that is there wherever the"
        " bot runs, such as Path(__file__).with_name('menu.pdf')."
    )


class Outgoing:
    """Has files of bots; one for a process. Nothing of a file, its name or its URL is logged."""

    def __init__(self, settings: Files, store: FileStore, fetcher: Fetcher) -> None:
        self._settings = settings
        self._store = store
        self._fetcher = fetcher

    def spool(self) -> Spool:
        """Room for one file."""
        return Spool(self._settings.max_size)

    async def take(
        self, endpoint: Endpoint, source: Path | bytes | str, name: str, number: int, spool: Spool
    ) -> About:
        """One attempt to have a file in an empty spool. A str is an address. Raises NotToBeHad."""
        try:
            if isinstance(source, str):
                reach = Reach.of(endpoint, self._settings.allow)
                await self._fetcher.fetch(Source(source, {}), reach, spool)
            elif isinstance(source, Path):
                await self._read(source, number, spool)
            else:
                await spool.write(source)
        except TooBig:
            raise NotToBeHad(self._too_big(number)) from None
        except FetchFailed as error:
            if error.reason == "too_big":
                raise NotToBeHad(self._too_big(number)) from None
            raise NotToBeHad(_not_fetched(number, error.reason), again=error.again) from None
        if spool.size == 0:
            raise NotToBeHad(f"attachments[{number}] is empty.")
        return About(sniff(spool.head, name), spool.size, spool.sha256)

    async def put(self, key: str, spool: Spool) -> None:
        """Store what is in the spool, unless it is there: the key is of its content. Raises StorageFailed."""
        if not await self._store.exists(key):
            await self._store.put(key, spool.pieces())

    async def _read(self, path: Path, number: int, spool: Spool) -> None:
        await spool.restart()
        try:
            if not await asyncio.to_thread(path.is_file):
                raise NotToBeHad(missing(number))
            with await asyncio.to_thread(path.open, "rb") as file:
                while piece := await asyncio.to_thread(file.read, _PIECE):
                    await spool.write(piece)
        except OSError:
            raise NotToBeHad(missing(number)) from None

    def _too_big(self, number: int) -> str:
        most = self._settings.max_size.human_readable()
        return (
            f"attachments[{number}] is larger than files.max_size in endpoints.yaml ({most}): send a smaller"
            " file, or say a FileLink to where it can be downloaded."
        )


def _not_fetched(number: int, reason: str) -> str:
    advice = {
        "refused_address": "it is at a private address, or not at https: add its host to files.allow",
        "unknown_host": "check the host's name",
        "not_found": "there is no such file",
    }
    return f"attachments[{number}] can't be fetched from its url: {advice.get(reason, reason)}."


def key_of(content: bytes, *place: object, sealed: bool) -> str:
    """The key of a file with this SHA-256 that is said at this place: the same after a crash."""
    told = "\n".join([content.hex(), *map(str, place)])
    if sealed:  # nobody may find out by trying whether a file is a certain one
        told = sealer().digest(told)
    return key_named(sha256(told.encode()).hexdigest()[:32], sealed=sealed)
