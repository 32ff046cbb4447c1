"""What a worker needs of files, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from app.endpoints_storage import Files
from app.files.fetching import Fetcher
from app.files.incoming import Incoming
from app.files.links import Links, open_links
from app.files.outgoing import Outgoing
from app.files.reading import Reader
from app.files.store import FileStore, number_of, open_store
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class FileService:
    """The store, and what works on it."""

    settings: Files
    store: FileStore
    incoming: Incoming
    outgoing: Outgoing
    reader: Reader
    links: Links

    @classmethod
    def open(cls, files: Files, settings: Settings) -> Self:
        """As the settings say. Raises ConfigurationError."""
        store = open_store(files, settings.home)
        fetcher = Fetcher()
        incoming, outgoing = Incoming(files, store, fetcher), Outgoing(files, store, fetcher)
        return cls(files, store, incoming, outgoing, Reader(store), open_links(settings))

    def url(self, key: str, now: datetime) -> str:
        """Where a stored file can be had for as long as the settings say; for whoever has it."""
        return self.links.url(number_of(key), now + timedelta(seconds=self.settings.url_ttl))
