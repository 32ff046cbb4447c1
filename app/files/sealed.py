"""Encrypted files: pieces of up to 64 KiB, each sealed at its place, so that none can be moved or left out.

4 bytes: length of what follows | nonce and ciphertext, bound to (number of the piece, whether it is the last)
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from app.sealing import sealer

#: How the key of a sealed object ends.
SEALED = ".sealed"
_PIECE = 64 * 1024


def name_stored(name: str | None, *, sealed: bool) -> str | None:
    """A file's name as its row keeps it: sealed with the file."""
    return sealer().seal(name)["sealed"] if sealed and name is not None else name


def name_of(name: str | None, key: str) -> str | None:
    """The name of the file with this key. Raises ConfigurationError where no key of ours opens it."""
    return sealer().open({"sealed": name}) if name is not None and key.endswith(SEALED) else name


async def one(content: bytes) -> AsyncIterator[bytes]:
    """Bytes as pieces."""
    yield content


async def seal(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a file, encrypted with PARLEY_ENCRYPTION_KEY."""
    box = sealer()
    waiting, number = bytearray(), 0
    async for piece in pieces:
        waiting += piece
        while len(waiting) > _PIECE:
            sealed = box.seal_piece(bytes(waiting[:_PIECE]), _place(number, last=False))
            del waiting[:_PIECE]
            number += 1
            yield len(sealed).to_bytes(4, "big") + sealed
    sealed = box.seal_piece(bytes(waiting), _place(number, last=True))
    yield len(sealed).to_bytes(4, "big") + sealed


async def unseal_pieces(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The file as it was. Raises ConfigurationError where no key opens it, or something of it is missing."""
    box = sealer()
    waiting, number = bytearray(), 0
    async for piece in pieces:
        waiting += piece
        while len(waiting) > 4 + (size := int.from_bytes(waiting[:4], "big")):  # more follows: not the last
            opened = box.open_piece(bytes(waiting[4 : 4 + size]), _place(number, last=False))
            del waiting[: 4 + size]
            number += 1
            yield opened
    yield box.open_piece(bytes(waiting[4:]), _place(number, last=True))


def _place(number: int, *, last: bool) -> bytes:
    return number.to_bytes(8, "big") + (b"\1" if last else b"\0")
