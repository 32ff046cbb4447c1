"""Where tests keep what nobody looks at after them: in memory, where there is enough of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: A file system in memory, on Linux. A container's often is too small.
MEMORY, ROOM = Path("/dev/shm"), 4 * 1024**3


def in_memory() -> bool:
    """Whether there is room in memory: creating a database there takes 20 ms, on a busy disk 400 ms."""
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder that is deleted at the end, for what need not survive a power cut."""
    place = str(MEMORY) if in_memory() else None
    with tempfile.TemporaryDirectory(prefix=f"parley-{name}-", dir=place, ignore_cleanup_errors=True) as made:
        yield Path(made)
