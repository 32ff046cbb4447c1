"""Which names a bot must not touch outside of a step, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its id, as printed."""

    id: str
    severity: Severity
    advice: str


CLOCK = Rule("clock", "error", "the clock differs in every replay: use chat.now()")
RANDOM = Rule("random", "error", "it comes out differently in every replay: use chat.random, or a step")
SLEEP = Rule("sleep", "error", "it stops every conversation of the worker: use chat.receive(timeout=…)")
IO = Rule("io", "error", "a bot is replayed at every turn: read and write in a step, `await chat.step(…)`")
ENVIRONMENT = Rule(
    "environment", "error", "it may change between replays: read it once when the module is imported"
)
CONCURRENCY = Rule(
    "concurrency", "error", "a bot is one straight line: use chat.steps to do several things at once"
)
LOG = Rule("log", "warning", "it is repeated in every replay: log in a step")
PROCESS = Rule("random", "error", "it differs in every process: use what the value says itself")

_CLOCK = {
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    *(f"time.{name}" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
    *(f"time.{name}_ns" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
    *(f"time.{name}" for name in ("localtime", "gmtime", "ctime")),
    "pendulum.now",
    "pendulum.today",
    "arrow.now",
    "arrow.utcnow",
}
_RANDOM = {"uuid.uuid1", "uuid.uuid4", "uuid.getnode", "os.urandom", "random.SystemRandom"}
_RANDOM_MODULES = ("random", "secrets", "numpy.random")
_PURE_OS = ("os.path.", "os.fspath", "os.sep", "os.linesep")
_NOT_PURE = {f"os.path.{name}" for name in ("exists", "isfile", "isdir", "getsize", "getmtime", "realpath")}
_IO_MODULES = (
    *("os", "shutil", "subprocess", "socket", "ssl", "tempfile", "glob", "fileinput", "io.open"),
    *("urllib.request", "http.client", "ftplib", "smtplib", "imaplib", "sqlite3", "dbm", "shelve"),
    *("requests", "httpx", "aiohttp", "urllib3", "websockets", "grpc", "paramiko"),
    *("psycopg", "psycopg2", "asyncpg", "pymysql", "sqlalchemy", "sqlmodel", "redis", "pymongo", "boto3"),
    *("openai", "anthropic"),
)
_CONCURRENCY_MODULES = (
    "asyncio",
    "anyio",
    "trio",
    "threading",
    "_thread",
    "concurrent.futures",
    "multiprocessing",
)
_LOG_MODULES = ("logging", "structlog", "loguru")
_BUILTINS = {"open": IO, "input": IO, "print": LOG, "hash": PROCESS, "id": PROCESS}
_FILE_METHODS = {"read_text", "write_text", "read_bytes", "write_bytes"}
_PATH_METHODS = {
    "open",
    "exists",
    "is_file",
    "is_dir",
    "iterdir",
    "glob",
    "rglob",
    "mkdir",
    "unlink",
    "stat",
    "touch",
}


def called(name: str, *, seeded: bool = False) -> Rule | None:
    """The rule against calling the function of this dotted name; `seeded`: it is given an argument."""
    if name in _CLOCK:
        return CLOCK
    if name == "time.sleep":
        return SLEEP
    if (name == "random.Random" and seeded) or name.startswith("random.Random()"):
        return None
    if name in _RANDOM or _within(name, _RANDOM_MODULES):
        return RANDOM
    if "." not in name:
        return _BUILTINS.get(name)
    return used(name) or _io(name) or _others(name)


def handed_on(name: str) -> Rule | None:
    """The rule against naming this function for somebody to call it later; classes and modules are none."""
    if name in _RANDOM_MODULES or "." not in name or name.rpartition(".")[2][:1].isupper():
        return None
    rule = called(name, seeded=True)
    return rule if rule in (CLOCK, RANDOM, SLEEP) else None


def used(name: str) -> Rule | None:
    """The rule against so much as reading this dotted name."""
    if _within(name, ("os.environ", "os.environb", "os.getenv", "sys.argv", "sys.stdin")):
        return ENVIRONMENT
    return None


def method(name: str, *, of_path: bool) -> Rule | None:
    """The rule against calling a method of this name, on a path or on something unknown."""
    return IO if name in _FILE_METHODS or (of_path and name in _PATH_METHODS) else None


def _io(name: str) -> Rule | None:
    if name.startswith(_PURE_OS) and name not in _NOT_PURE:
        return None
    return IO if _within(name, _IO_MODULES) else None


def _others(name: str) -> Rule | None:
    if _within(name, _CONCURRENCY_MODULES):
        return CONCURRENCY
    return LOG if _within(name, _LOG_MODULES) else None


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)
