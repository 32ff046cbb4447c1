"""What a process does to itself: between fork and exec die with its parent and give up root; end for sure.

Facts: Linux prctl(2), capset(2), capabilities(7). Elsewhere the Linux parts are left out.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import os
import pwd
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True) if _LINUX else None

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class User:
    """A system user a process can become."""

    uid: int
    gid: int


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def is_root() -> bool:
    """Whether this process runs as root, as which PostgreSQL refuses to start."""
    return os.geteuid() == 0


def unprivileged_user(*, uid: int | None = None) -> User:
    """The user PostgreSQL runs as when Parley runs as root: `uid` if given, else postgres, else nobody.

    Raises KeyError where the system knows none of them.
    """
    if uid is not None:
        entry = pwd.getpwuid(uid)
        return User(entry.pw_uid, entry.pw_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_uid, entry.pw_gid)
    raise KeyError("no unprivileged system user")


def before_exec(*, end: signal.Signals | None = None, user: User | None = None) -> Callable[[], None]:
    """A `preexec_fn` for subprocess.Popen.

    `end` is the signal the kernel sends the child when the thread that started it ends, however it ends,
    so start children in the main thread. `user` is who the child becomes; it keeps the right to pass
    through folders that only root may enter, since Parley's data folder may be below one (a home folder, a
    temporary one), and nothing else of root.
    """
    parent = os.getpid()

    def prepare() -> None:
        if user is not None:
            _become(user)
        if end is not None and _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(end), 0, 0, 0)
            if os.getppid() != parent:  # the parent ended before the kernel was told
                os._exit(1)

    return prepare


def keep_out_of_collections() -> None:
    """To be called when a process begins to serve: what is there by then stays, and isn't garbage.

    A full collection looks at every object: at the 225,000 that a worker starts with for 125 ms, during which
    nobody is answered. Frozen, they are left out of it.
    """
    gc.collect()
    gc.freeze()


def import_late(name: str) -> ModuleType:
    """Import a big module while the process serves already; for a thread.

    The threads that serve need not wait for this one as long as usual. Collections are put off meanwhile, and
    leave out from then on what was imported, since it stays.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 20)
    gc.disable()
    try:
        module = importlib.import_module(name)
        gc.freeze()
        return module
    finally:
        gc.enable()
        sys.setswitchinterval(usual)


def end_process(code: int) -> NoReturn:
    """End this process now, with all that was logged and printed.

    An ordinary end waits for every thread of a pool, and one that hangs (a bot's step may) never ends.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def give_way(pid: int, niceness: int) -> None:
    """Lower the priority of a process that leads a session of its own, with all that it has started.

    Where Linux shares the CPU between sessions first ("autogroup", the default of many systems), a nice value
    counts within its session only, and the session's own decides: sched(7).
    """
    with suppress(OSError):  # no autogroups here, or the process has just ended
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


def _become(user: User) -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user.gid, user.gid, user.gid) if hasattr(os, "setresgid") else os.setgid(user.gid)
    os.setresuid(user.uid, user.uid, user.uid) if hasattr(os, "setresuid") else os.setuid(user.uid)
    if _libc is not None:
        right = 1 << _CAP_DAC_OVERRIDE
        data = (_Data * 2)(_Data(right, right, right), _Data(0, 0, 0))
        if _libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), data) == 0:
            _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
