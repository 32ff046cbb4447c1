"""Asks ClamAV's daemon about a file: its INSTREAM command, over TCP or a Unix socket.

The protocol is clamd(8)'s: `zINSTREAM\\0`, then pieces, each behind its length in four bytes (big-endian),
then a length of 0. The answer is `stream: OK`, `stream: <signature> FOUND` or `<text> ERROR`. Beyond
its limits it says OK to what it never looked at, or with AlertExceedsMax `Heuristics.Limits.Exceeded… FOUND`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from app.errors import ParleyError

_LONGEST_ANSWER = 4096


#: What ClamAV calls a file that is larger than it scans, and says of one larger than it takes.
_BEYOND_LIMITS = "Heuristics.Limits.Exceeded"
_TOO_LARGE = "size limit exceeded"


class ScannerAway(ParleyError):
    """ClamAV can't be asked."""


class NotScanned(ParleyError):
    """ClamAV was asked, and does not scan a file like this, however often it is asked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ClamAV says. `signature` is the name of what it found."""

    result: Literal["clean", "infected"]
    signature: str | None = None


async def scan(clamd: str, pieces: AsyncIterable[bytes], *, timeout: float) -> Verdict:
    """Ask about a file. Raises NotScanned, and ScannerAway: no connection, no answer in time, or an error."""
    try:
        async with asyncio.timeout(timeout):
            return _verdict(await _ask(clamd, pieces))
    except (OSError, EOFError, ValueError) as error:  # a TimeoutError is an OSError
        raise ScannerAway(f"ClamAV can't be asked: {type(error).__name__}") from None


async def _ask(clamd: str, pieces: AsyncIterable[bytes]) -> bytes:
    reader, writer = await _connect(clamd)
    answer = asyncio.create_task(reader.readuntil(b"\0"))
    try:
        with suppress(ConnectionError):  # it may answer (too large) and close before everything is sent
            writer.write(b"zINSTREAM\0")
            async for piece in pieces:
                if answer.done():
                    break
                writer.write(len(piece).to_bytes(4, "big") + piece)
                await writer.drain()
            writer.write(bytes(4))
            await writer.drain()
        return await answer
    finally:
        answer.cancel()
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
    if text.startswith(_BEYOND_LIMITS):
        raise NotScanned
    if text.endswith(" FOUND"):
        return Verdict("infected", text.removesuffix(" FOUND")[:200])
    if _TOO_LARGE in text:
        raise NotScanned
    raise ScannerAway("ClamAV could not scan the file")


async def ping(clamd: str, *, timeout: float) -> None:
    """See whether it answers. Raises ScannerAway."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(clamd)
            try:
                writer.write(b"zPING\0")
                answer = await reader.readuntil(b"\0")
            finally:
                writer.close()
    except (OSError, EOFError, ValueError) as error:
        raise ScannerAway(f"ClamAV can't be asked: {type(error).__name__}") from None
    if answer != b"PONG\0":
        raise ScannerAway
