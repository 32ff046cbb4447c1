"""The files of contacts, written into a folder beside what else is handed out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.files.store import FileStore, NoSuchFile

#: Characters of a name that are kept.
_LONGEST = 100


async def write_files(store: FileStore, files: Sequence[dict[str, Any]], folder: Path) -> int:
    """Write each stored file into the folder (which is there), and its path into its row; how many.

    `path` is null where there is nothing to write: a file that failed, was infected, or has been deleted.
    Raises StorageFailed.
    """
    written = 0
    for row in files:
        row["path"] = None
        if row["state"] != "stored":
            continue
        path = folder / f"{row['id']}-{_safe(row['name'] or 'file')}"
        try:
            with path.open("wb") as target:
                async for piece in store.stream(row["key"]):
                    target.write(piece)
        except NoSuchFile:
            path.unlink()
            continue
        row["path"] = str(path)
        written += 1
    return written


def _safe(name: str) -> str:
    """A name of a user's file that is one in a folder of ours."""
    return re.sub(r"[^\w.\- ]", "_", name)[-_LONGEST:]
