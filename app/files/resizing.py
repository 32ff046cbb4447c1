"""Has images resized by a process of its own (see resize.py): it may take its time, or die, without harm."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterable
from contextlib import suppress

from app.errors import ParleyError
from app.files.images import NotResizable, Wanted
from app.files.resize import FITS, REFUSED

#: An image's bytes, and its media type.
Copy = tuple[bytes, str]

#: Seconds that one image may take, with its way from the storage.
_SECONDS = 15.0
#: All that the process gets to know of this one's environment.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


class NotInTime(ParleyError):
    """The image could not be resized in time."""


async def resize_apart(pieces: AsyncIterable[bytes], wanted: Wanted) -> Copy | None:
    """As `images.resize`. What comes piece by piece is never whole in this process.

    Raises NotResizable, NotInTime, and what `pieces` raises.
    """
    process = await _start(wanted)
    try:
        async with asyncio.timeout(_SECONDS):
            await _give(process, pieces)
            assert process.stdout is not None
            answer = await process.stdout.read()
            status = await process.wait()
    except TimeoutError:
        raise NotInTime from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status == REFUSED:
        raise NotResizable(answer.decode())
    if status != 0:
        raise NotResizable("The image takes too much to be resized")
    media_type, _, content = answer.partition(b"\n")
    return None if media_type == FITS else (content, media_type.decode())


async def _start(wanted: Wanted) -> Process:
    limits = ["-" if each is None else str(each) for each in (wanted.width, wanted.height, wanted.size)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.files.resize",
        *limits,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    )


async def _give(process: Process, pieces: AsyncIterable[bytes]) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):  # it has ended already, and says why
        async for piece in pieces:
            process.stdin.write(piece)
            await process.stdin.drain()
    process.stdin.close()
