"""Asks ClamAV's daemon about a file: its INSTREAM command, over TCP or a Unix socket.

The protocol is clamd(8)'s: `zINSTREAM\\0`, then pieces, each behind its length in four bytes (big-endian),
then a length of 0. The answer is `stream: OK`, `stream: <signature> FOUND` or `<text> ERROR`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from app.errors import ParleyError

_LONGEST_ANSWER = 4096


class ScannerAway(ParleyError):
    """ClamAV can't be asked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ClamAV says. `signature` is the name of what it found."""

    result: Literal["clean", "infected"]
    signature: str | None = None


async def scan(clamd: str, pieces: AsyncIterable[bytes], *, timeout: float) -> Verdict:
    """Ask about a file. Raises ScannerAway: no connection, no answer in `timeout` seconds, or an error."""
    try:
        async with asyncio.timeout(timeout):
            return _verdict(await _ask(clamd, pieces))
    except (OSError, EOFError, ValueError) as error:  # a TimeoutError is an OSError
        raise ScannerAway(f"ClamAV can't be asked: {type(error).__name__}") from None


async def _ask(clamd: str, pieces: AsyncIterable[bytes]) -> bytes:
    reader, writer = await _connect(clamd)
    try:
        with suppress(ConnectionError):  # it may answer (too big) and close before everything is sent
            writer.write(b"zINSTREAM\0")
            async for piece in pieces:
                writer.write(len(piece).to_bytes(4, "big") + piece)
                await writer.drain()
            writer.write(bytes(4))
            await writer.drain()
        return await reader.readuntil(b"\0")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _connect(clamd: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if clamd.startswith("/"):
        return await asyncio.open_unix_connection(clamd, limit=_LONGEST_ANSWER)
    host, port = split(clamd)
    return await asyncio.open_connection(host, port, limit=_LONGEST_ANSWER)


def split(clamd: str) -> tuple[str, int]:
    """Host and port. Raises ValueError."""
    host, _, port = clamd.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("not host:port")
    return host, int(port)


def _verdict(answer: bytes) -> Verdict:
    text = answer.rstrip(b"\0\n").decode("utf-8", "replace").removeprefix("stream: ")
    if text == "OK":
        return Verdict("clean")
    if text.endswith(" FOUND"):
        return Verdict("infected", text.removesuffix(" FOUND")[:200])
    raise ScannerAway("ClamAV could not scan the file")  # larger than its StreamMaxLength, perhaps
