"""What a worker needs of files, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.endpoints_storage import Files
from app.files.incoming import Incoming
from app.files.links import Links, open_links
from app.files.reading import Reader
from app.files.store import FileStore, open_store
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class FileService:
    """The store, and what works on it."""

    settings: Files
    store: FileStore
    incoming: Incoming
    reader: Reader
    links: Links

    @classmethod
    def open(cls, files: Files, settings: Settings) -> Self:
        """As the settings say. Raises ConfigurationError."""
        store = open_store(files, settings.home)
        return cls(files, store, Incoming(files, store), Reader(store), open_links(settings))
