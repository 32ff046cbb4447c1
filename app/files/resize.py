"""`python -m app.files.resize WIDTH HEIGHT BYTES`: an image from stdin, its smaller copy to stdout.

A process of its own, so that an image can take no more than a little time and memory, and nobody else's.
`-` stands for no limit. The copy comes behind a line with its media type; a line `fits` says that there is
none. An image that can't be resized ends it with 3 and why; one that takes too long is ended by the system.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

from app.files.images import NotResizable, Wanted, resize

#: Seconds of a processor, bytes of memory, and how far it stands back behind what acknowledges events.
_SECONDS = 5
_MEMORY = 1536 * 1024 * 1024
_NICE = 10

FITS = b"fits"
REFUSED = 3


def main(width: str, height: str, size: str) -> int:
    """The exit status."""
    _limit()
    wanted = Wanted(*(None if each == "-" else int(each) for each in (width, height, size)))
    try:
        made = resize(sys.stdin.buffer.read(), wanted)
    except NotResizable as error:
        sys.stdout.buffer.write(str(error).encode())
        return REFUSED
    content, media_type = (b"", FITS) if made is None else (made[0], made[1].encode())
    sys.stdout.buffer.write(media_type + b"\n" + content)
    return 0


def _limit() -> None:
    os.nice(_NICE)
    limits = ((resource.RLIMIT_CPU, _SECONDS), (resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CORE, 0))
    for what, most in limits:
        with suppress(ValueError, OSError):  # not every system has each
            resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
