"""ClamAV's own daemon, with a signature database of one: the EICAR test file's."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.missing import missing

#: https://www.eicar.org: harmless, and known to every scanner. In two parts, so that this file isn't it.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD" + rb"-ANTIVIRUS-TEST-FILE!$H+H*"
_SIGNATURE = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n"


@contextmanager
def clamav(*settings: str) -> Iterator[str]:
    """A running clamd with these lines in its clamd.conf; its socket's path. Where none is: missing.py."""
    program = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        missing("clamd is not installed (Debian: apt-get install clamav-daemon)")
    with tempfile.TemporaryDirectory(
        prefix="clamav-"
    ) as name:  # short: a socket's path has 107 bytes at most
        folder = Path(name)
        (folder / "eicar.hdb").write_text(_SIGNATURE)
        lines = [
            f"DatabaseDirectory {folder}",
            f"LocalSocket {folder}/clamd.sock",
            f"PidFile {folder}/clamd.pid",
            "Foreground true",
            *settings,
            f"User {pwd.getpwuid(os.getuid()).pw_name}",
        ]
        (folder / "clamd.conf").write_text("\n".join(lines) + "\n")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([program, "-c", str(folder / "clamd.conf")], stdout=log, stderr=log)
        try:
            _wait(folder, process)
            yield str(folder / "clamd.sock")
        finally:
            process.terminate()
            process.wait(20)


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(folder / "clamd.sock")) == 0:
                return
        assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)
