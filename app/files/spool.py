"""A file on its way: on disk (in TMPDIR, without a name), never whole in memory; measured as it comes."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from types import TracebackType
from typing import IO, Self

from app.errors import ParleyError

#: Bytes gathered before they are written, in a thread.
_WRITE = 1024 * 1024
#: Bytes that tell what kind of file it is.
HEAD = 8192


class TooBig(ParleyError):
    """The file is larger than is allowed."""


class Spool:
    """Takes a file's bytes, at most `limit`; gives them again as often as they are wanted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="parley-file-")  # noqa: SIM115
        self._begin()

    def _begin(self) -> None:
        self._gathered = bytearray()
        self._hash = hashlib.sha256()
        self.head = b""
        self.size = 0

    @property
    def sha256(self) -> bytes:
        """Of everything that came."""
        return self._hash.digest()

    async def restart(self) -> None:
        """Forget what came: another attempt begins."""
        self._begin()
        await asyncio.to_thread(self._empty)

    def _empty(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    async def write(self, piece: bytes) -> None:
        """Take a piece. Raises TooBig."""
        self.size += len(piece)
        if self.size > self._limit:
            raise TooBig
        self._hash.update(piece)
        if len(self.head) < HEAD:
            self.head += piece[: HEAD - len(self.head)]
        self._gathered += piece
        if len(self._gathered) >= _WRITE:
            await self._flush()

    async def _flush(self) -> None:
        gathered, self._gathered = bytes(self._gathered), bytearray()
        if gathered:
            await asyncio.to_thread(self._file.write, gathered)

    async def pieces(self, size: int = _WRITE) -> AsyncIterator[bytes]:
        """Everything that came, from the beginning, piece by piece."""
        await self._flush()
        await asyncio.to_thread(self._file.seek, 0)
        while piece := await asyncio.to_thread(self._file.read, size):
            yield piece

    def close(self) -> None:
        """Let the disk have its space back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
