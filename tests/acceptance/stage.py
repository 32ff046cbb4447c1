"""What acceptance tests do with a `parley up`: talk to its bots, look into its database, hold it up."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import psutil

from app.database.engine import connect
from app.sandbox import calls, schema
from app.sandbox.client import SandboxClient
from app.supervisor.ports import free_port
from tests.acceptance.running import Parley, eventually

T = TypeVar("T")
_numbers = count(1)
BOTS = Path(__file__).with_name("bots.py")

#: Endpoint → its bot and settings of its own. Each is a tenant of its own at the sandbox.
ENDPOINTS: dict[str, dict[str, Any]] = {
    "echo": {"flow": "flows.bots.echo:echo"},
    "orders": {"flow": "flows.bots.orders:orders"},
    "parrot": {"flow": "acceptance_bots:parrot"},
    "refused": {"flow": "acceptance_bots:parrot"},
    "measures": {"flow": "acceptance_bots:measures"},
    "asks": {"flow": "acceptance_bots:asks_five"},
    "works": {"flow": "acceptance_bots:works"},
    "works_later": {"flow": "acceptance_bots:works_later"},
    "counts": {"flow": "acceptance_bots:counts"},
    "holds": {"flow": "acceptance_bots:holds"},
    "poison": {"flow": "acceptance_bots:poison", "on_error": {"message": "We are sorry."}},
    "greets": {"flow": "acceptance_bots:greets", "accept_conversation_active": True},
    "waits": {"flow": "acceptance_bots:greets"},
    "workers": {"flow": "acceptance_bots:tells_worker"},
    "patient": {"flow": "acceptance_bots:gives_up"},
}

#: For the tests of human agents. The sandbox numbers each tenant's channel and webhook in the file's order.
BACK = {"return_assignment": {"id": "2001"}}
HANDOVER = {"queue": "101", "message": "Connecting you…", "cancel_text": "Stop waiting", **BACK}
ENDPOINTS |= {
    "agents": {"flow": "acceptance_bots:hands_over", "handover": HANDOVER},
    "impatient": {"flow": "acceptance_bots:hands_over", "handover": {**HANDOVER, "timeout": 3}},
    "unknown-queue": {"flow": "acceptance_bots:hands_over", "handover": {**HANDOVER, "queue": "999"}},
    "handlers": {
        "flow": "acceptance_bots:cares",
        "handover": {"queue": "102", "inactivity": 0.05, **BACK},
    },
    "fails": {"flow": "acceptance_bots:fails", "on_error": {"message": "Sorry!", "handover": "103"}},
    "button": {"flow": "acceptance_bots:parrot", "handover": {"queue": "101", "message": "Connecting you…"}},
    "draining": {"flow": "acceptance_bots:parrot", "handover": {"queue": "101"}, "enabled": "draining"},
    "mute": {"flow": "acceptance_bots:says_nothing", "dead_air": 1},
}
ENDPOINTS["survey"] = {
    "flow": "acceptance_bots:hands_over",
    "handover": {**HANDOVER, "return_to_bot": {"webhook_id": str(2 * len(ENDPOINTS) + 2)}},
}

ENDPOINTS["hangs"] = {"flow": "acceptance_bots:hangs"}

#: For the tests of what is rich: more than text, indicators, files.
ENDPOINTS |= {
    "shows": {"flow": "acceptance_bots:shows", "read_receipts": True},
    "rich": {"flow": "acceptance_bots:rich"},
    "sends-files": {"flow": "acceptance_bots:sends_files"},
}


def write_endpoints(folder: Path, sandbox_port: str) -> Path:
    """endpoints.yaml (JSON is YAML) with the tests' bots beside it."""
    shutil.copy(BOTS, folder / "acceptance_bots.py")
    endpoints = [
        {
            "name": name,
            "token": f"sandbox-{name}-token",
            "eightxeight": {
                "base_url": f"http://127.0.0.1:{sandbox_port}",
                "api_key": f"sandbox-{name}-key",
                "tenant": f"sandbox-{name}",
            },
            **settings,
        }
        for name, settings in ENDPOINTS.items()
    ]
    file = folder / "endpoints.yaml"
    alerts = {
        "webhook": f"http://127.0.0.1:{free_port()}/alerts",
        "secret": "a-secret-of-24-characters",
        "kinds": ["dead_air"],
    }
    file.write_text(json.dumps({"endpoints": endpoints, "alerts": alerts}))
    return file


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stands still until the end of the block; on a busy machine not in the same moment."""
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: process.status() == psutil.STATUS_STOPPED, within=10, what="its standing still")
        yield
    finally:
        if not gone(pid):
            os.kill(pid, signal.SIGCONT)


def gone(pid: int) -> bool:
    """Whether the process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Database:
    """A connection to Parley's database that plain code can use, from any thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._lock = threading.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Rows of a query; tried again once when the server has been restarted in between."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    if self._connection is None or self._connection.is_closed():
                        self._connection = self.call(connect(self._url, application="test"))
                    return self.call(self._connection.fetch(sql, *values))
                except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
                    self._connection = None
                    if attempt == 2:
                        raise
            raise AssertionError

    def value(self, sql: str, *values: object) -> Any:
        """The first value of the first row; None where there is no row."""
        rows = self.rows(sql, *values)
        return rows[0][0] if rows else None

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the connection's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    @contextmanager
    def holding(self, sql: str, *values: object) -> Iterator[Held]:
        """Keep a statement's locks until the end of the block, or until they are released."""
        connection = self.call(connect(self._url, application="test lock"))
        try:
            self.call(connection.execute("BEGIN"))
            self.call(connection.fetch(sql, *values))
            yield Held(self, connection)
        finally:
            self.call(connection.close())

    def close(self) -> None:
        """Close the connection and end the thread."""
        if self._connection is not None:
            self.call(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class Held:
    """Locks that a test holds."""

    def __init__(self, database: Database, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._database, self._connection = database, connection
        self._pid = connection.get_server_pid()

    def awaited(self) -> bool:
        """Whether a worker waits for them."""
        waiting = """SELECT count(*) FROM pg_stat_activity
                     WHERE $1 = ANY(pg_blocking_pids(pid)) AND application_name = 'parley work'"""
        return bool(self._database.value(waiting, self._pid))

    def release(self) -> None:
        """Let go."""
        self._database.call(self._connection.execute("ROLLBACK"))


class Stage:
    """A `parley up` with the tests' bots."""

    def __init__(self, parley: Parley) -> None:
        self.parley = parley
        self.signals = Path(parley.variables["PARLEY_TEST_SIGNALS"])
        self.sandbox = SandboxClient(parley.sandbox_url)
        self.database = Database(parley.database_url)
        self.prefect = parley.prefect()

    def talk(self, endpoint: str, *, announce: bool = False, **start: Any) -> Talk:
        """A new conversation of that endpoint's tenant."""
        start.setdefault("id", f"{endpoint}-{next(_numbers)}")
        view = self.sandbox(calls.start(tenant=f"sandbox-{endpoint}", announce=announce, **start))
        return Talk(self, endpoint, view.id)

    def signal(self, name: str) -> None:
        """Make the file a bot waits for."""
        (self.signals / name).touch()

    def signalled(self, name: str, *, within: float = 20.0) -> None:
        """Return once a bot has made that file."""
        eventually(lambda: (self.signals / name).exists(), within=within, what=f"signal {name}")

    def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Rows of Parley's database."""
        return self.database.rows(sql, *values)

    def value(self, sql: str, *values: object) -> Any:
        """One value of Parley's database."""
        return self.database.value(sql, *values)

    def run_states(self, talk: Talk) -> list[str]:
        """Types of the states of the conversation's runs, oldest first."""
        return [run["state"]["type"] for run in self.runs_of(talk)]

    def runs_open(self) -> None:
        """Return once new conversations get runs: after a failed opening there are none for 30 s."""
        deadline = time.monotonic() + 100
        while True:
            talk = self.talk("counts")
            talk.say("any run?")
            talk.texts(1)
            with suppress(AssertionError):
                eventually(lambda: self.run_states(talk), within=5)  # noqa: B023 - called at once
                return
            assert time.monotonic() < deadline, "no run is opened"

    def log(self) -> list[dict[str, Any]]:
        """Everything that Parley's parts have logged."""
        lines = self.parley.errors.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def runs_of(self, talk: Talk) -> list[dict[str, Any]]:
        """Prefect's flow runs of the conversation, oldest first."""
        wanted = {"flow_runs": {"tags": {"all_": [f"conversation:{talk.id}"]}}, "sort": "START_TIME_ASC"}
        found: list[dict[str, Any]] = (
            self.prefect.post("/flow_runs/filter", json=wanted).raise_for_status().json()
        )
        return found

    def crash_worker(self) -> int:
        """Kill `up`'s worker where it stands; its process id."""
        pid = self.worker_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: gone(pid), within=10, what="the worker's end")
        return pid

    def worker_pid(self, *, within: float = 60.0) -> int:
        """The process id of `up`'s worker, once its lease is alive."""
        found: list[int] = []

        def alive() -> bool:
            part = self.parley.part("worker")
            if part is None:
                return False
            found[:] = [part.pid]
            query = (
                "SELECT count(*) FROM worker WHERE pid = $1 AND stopped_at IS NULL AND alive_until > now()"
            )
            return bool(self.value(query, part.pid))

        eventually(alive, within=within, what="a living worker")
        return found[0]

    def close(self) -> None:
        """Close all connections."""
        self.sandbox.close()
        self.prefect.close()
        self.database.close()


class Talk:
    """One conversation, seen by its user and in the database."""

    def __init__(self, stage: Stage, endpoint: str, external_id: str) -> None:
        self.stage = stage
        self.endpoint = endpoint
        self.id = external_id

    def say(self, text: str) -> None:
        """The user writes."""
        self.stage.sandbox(calls.say(self.id, text))

    def sends(self, event: dict[str, Any] | None = None, **how: Any) -> schema.WebhookView:
        """8x8 sends any event of this conversation; the record once it is settled."""
        body = None if event is None else {"conversationId": self.id, **event}
        view = self.stage.sandbox(calls.send_event(self.id, schema.RawEvent(event=body, **how)))
        return self.stage.sandbox(calls.webhook(view.event_id, timeout=20))

    def texts(self, at_least: int = 0, *, within: float = 30.0) -> list[str]:
        """What the bot has said, once it is so much at least."""
        wanted = calls.messages(
            self.id, author="bot", at_least=max(at_least, 1), timeout=within if at_least else 0
        )
        texts = [message.text or "" for message in self.stage.sandbox(wanted).messages]
        assert len(texts) >= at_least, f"{self.endpoint} said only {texts}"
        return texts

    def said(self, *expected: str, within: float = 30.0) -> None:
        """Assert that the bot says this, all of it, in this order, once and nothing else."""
        assert self.texts(len(expected), within=within) == list(expected)
        self.quiet(within=within)
        assert self.texts() == list(expected)

    def quiet(self, *, within: float = 30.0) -> None:
        """Return once nothing is left to do: no event, no turn, no delivery, not due."""
        busy = """
            SELECT (SELECT count(*) FROM event WHERE conversation_id = c.id AND processed_at IS NULL)
                 + (SELECT count(*) FROM dialog WHERE conversation_id = c.id AND status = 'running')
                 + (SELECT count(*) FROM delivery WHERE conversation_id = c.id
                    AND status IN ('waiting', 'sending', 'in_doubt'))
            FROM conversation c WHERE c.endpoint = $1 AND c.external_id = $2"""
        eventually(
            lambda: self.stage.value(busy, self.endpoint, self.id) == 0,
            within=within,
            what=f"quiet in {self.endpoint}",
        )

    @property
    def number(self) -> int:
        """Parley's own id of the conversation."""
        found: int = self.column("id")
        return found

    def column(self, name: str) -> Any:
        """A column of the conversation's row."""
        query = f"SELECT {name} FROM conversation WHERE endpoint = $1 AND external_id = $2"
        return self.stage.value(query, self.endpoint, self.id)

    def deliveries(self) -> list[tuple[str, int]]:
        """Status and number of attempts of each delivery, in order."""
        query = "SELECT status, attempts FROM delivery WHERE conversation_id = $1 ORDER BY place"
        return [(row[0], row[1]) for row in self.stage.rows(query, self.number)]

    def outcomes(self) -> list[str]:
        """How the attempts of its deliveries ended, in order."""
        query = """SELECT a.outcome FROM delivery_attempt a JOIN delivery d ON d.id = a.delivery_id
                   WHERE d.conversation_id = $1 ORDER BY a.id"""
        return [row[0] for row in self.stage.rows(query, self.number)]


#: Holds the commit of a turn for as long as a test holds `GATE`, in conversations named gate-….
_GATE = (
    """
    CREATE OR REPLACE FUNCTION test_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM conversation WHERE id = NEW.conversation_id AND external_id LIKE 'gate-%')
        THEN PERFORM pg_advisory_xact_lock_shared(4711);
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER test_gate AFTER INSERT ON delivery DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION test_gate()
    """,
)
HOLD_GATE = "SELECT pg_advisory_xact_lock(4711)"


@contextmanager
def gate(stage: Stage) -> Iterator[None]:
    """Where a worker can be met in its COMMIT, as long as the block lasts."""
    for statement in _GATE:
        stage.rows(statement)
    try:
        yield
    finally:
        stage.rows("DROP TRIGGER test_gate ON delivery")
