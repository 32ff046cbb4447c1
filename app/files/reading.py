"""Files as bots read them: from the store, again at every replay; the last ones are kept in memory."""

from __future__ import annotations

from collections import OrderedDict

from app.files.store import FileStore

#: Bytes kept in memory of files that were read.
_KEPT = 32 * 1024 * 1024


class Reader:
    """Reads files by key."""

    def __init__(self, store: FileStore, *, kept: int = _KEPT) -> None:
        self._store = store
        self._most = kept
        self._size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def read(self, key: str) -> bytes:
        """The whole file. Raises StorageFailed, NoSuchFile where it has been deleted."""
        content = self._kept.get(key)
        if content is not None:
            self._kept.move_to_end(key)
            return content
        content = await self._store.get(key)
        if len(content) <= self._most // 2:
            self._keep(key, content)
        return content

    def _keep(self, key: str, content: bytes) -> None:
        if key in self._kept:
            return
        self._kept[key] = content
        self._size += len(content)
        while self._size > self._most:
            self._size -= len(self._kept.popitem(last=False)[1])
