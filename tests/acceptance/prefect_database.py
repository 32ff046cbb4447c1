"""An empty database of Prefect's server, made once: its migrations take 15 s of CPU at each first start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

KEPT = Path(__file__).parents[2] / ".pytest_cache" / f"prefect-{version('prefect')}.db"

#: How long another test process may take to make it. (seconds)
PATIENCE = 120.0


def place_prefect_database(home: Path) -> None:
    """Give a Parley that has not started yet the database that its Prefect server would make."""
    wanted = home / "prefect" / "prefect.db"
    if wanted.exists():
        return
    _make_sure()
    wanted.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(KEPT, wanted)


def _make_sure() -> None:
    """Make the database, unless another test process has, or does."""
    making = KEPT.with_suffix(".making")
    deadline = time.monotonic() + PATIENCE
    while not KEPT.exists():
        KEPT.parent.mkdir(exist_ok=True)
        try:
            os.close(os.open(making, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            if time.monotonic() > deadline:  # whoever began it was killed
                making.unlink(missing_ok=True)
            time.sleep(0.1)
            continue
        try:
            _make()
        finally:
            making.unlink()


def _make() -> None:
    with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
        file = Path(folder) / "prefect.db"
        subprocess.run(
            [Path(sys.executable).with_name("prefect"), "server", "database", "upgrade", "-y"],
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
                "PREFECT_HOME": folder,
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{file}",
            },
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        file.rename(KEPT)
