"""Storing events in groups: order, locked conversations, races, and plans that stay quick."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engine import connect
from app.gateway.events import Json, ParsedEvent, storable
from app.receiver.batcher import Batcher, Bounds
from app.receiver.database import Database
from app.receiver.inbox import STORE, Arrival, Result, Stored, Unavailable

numbers = count(1)


def arrival(conversation: str | None = "c", *, event_id: str | None = None, body: bytes = b"{}") -> Arrival:
    return Arrival(
        endpoint="support",
        event_id=event_id or f"event-{next(numbers)}",
        external_id=conversation,
        type="MESSAGE",
        body=body,
        body_sha256=sha256(body).digest(),
        payload='{"eventType": "MESSAGE"}',
        sent_at=datetime.now(UTC),
        retry=0,
    )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    found = await Database.open(database_url)
    yield found
    await found.aclose()


async def until_blocked(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Wait until a statement of the receiver's waits for a lock."""
    async with asyncio.timeout(5):
        while not await connection.fetchval(  # noqa: ASYNC110 - the database tells no one
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'parley-receiver' "
            "AND wait_event_type = 'Lock' AND datname = current_database()"
        ):
            await asyncio.sleep(0.01)


async def values(engine: AsyncEngine, query: str) -> list[object]:
    async with engine.connect() as connection:
        return list((await connection.execute(text(query))).scalars())


async def test_many_events_are_stored_in_one_transaction_in_their_order(
    database: Database, engine: AsyncEngine
) -> None:
    arrivals = [arrival(f"c{number % 3}", event_id=f"e{number:03}") for number in range(60)]
    stored = await database.store_together(arrivals)
    assert {one.result for one in stored} == {Result.STORED}
    assert await values(engine, "SELECT event_id FROM event ORDER BY id") == [a.event_id for a in arrivals]
    assert await values(engine, "SELECT count(DISTINCT xmin::text) FROM event") == [1]
    assert await values(engine, "SELECT count(*) FROM conversation WHERE due_at <= now()") == [3]


async def test_old_and_new_events_of_a_batch_are_told_apart(database: Database) -> None:
    old = arrival(event_id="old", body=b"{1}")
    await database.store_together([old])
    changed = arrival(event_id="old", body=b"{2}")
    assert [one.result for one in await database.store_together([arrival(), old, arrival()])] == [
        Result.STORED,
        Result.DUPLICATE,
        Result.STORED,
    ]
    assert [one.result for one in await database.store_together([changed, arrival()])] == [
        Result.MISMATCH,
        Result.STORED,
    ]


async def test_an_event_that_another_process_is_just_storing_is_a_duplicate(
    database: Database, database_url: str
) -> None:
    """The statement sees neither row: the other's isn't committed when it looks, and is when it inserts."""
    twin = arrival(event_id="same")
    other = await connect(database_url, application="other")
    transaction = other.transaction()
    await transaction.start()
    await other.execute(
        "INSERT INTO event (endpoint, event_id, type, body_sha256, at) VALUES ($1, $2, 'MESSAGE', $3, now())",
        twin.endpoint,
        twin.event_id,
        twin.body_sha256,
    )
    storing = asyncio.create_task(database.store_singly(twin))
    watching = await connect(database_url, application="test")  # a transaction would see one moment only
    await until_blocked(watching)
    await transaction.commit()
    assert (await storing).result is Result.DUPLICATE
    assert await other.fetchval("SELECT count(*) FROM event") == 1
    await other.close()
    await watching.close()


async def test_a_turn_that_ends_meanwhile_cannot_lose_the_event(
    database: Database, engine: AsyncEngine, database_url: str
) -> None:
    """A turn holds the row and nulls due_at; the event that waits for it makes the conversation due again."""
    watching = await connect(database_url, application="test")
    await database.store_singly(arrival())
    async with engine.connect() as turn:
        await turn.execute(text("SELECT 1 FROM conversation FOR NO KEY UPDATE"))
        storing = asyncio.create_task(database.store_singly(arrival()))
        await until_blocked(watching)
        await turn.execute(text("UPDATE conversation SET due_at = NULL"))
        await turn.commit()
    await storing
    await watching.close()
    assert await values(engine, "SELECT due_at IS NOT NULL FROM conversation") == [True]


async def test_a_conversation_that_is_locked_holds_up_no_other(
    database: Database, engine: AsyncEngine
) -> None:
    batcher = Batcher(database.store_together, database.store_singly)
    await batcher.store(arrival("locked"))
    async with engine.connect() as turn:
        await turn.execute(text("SELECT 1 FROM conversation FOR NO KEY UPDATE"))
        waiting = [asyncio.create_task(batcher.store(arrival("locked"))) for _ in range(3)]
        started = time.monotonic()
        for number in range(20):
            stored = await batcher.store(arrival(f"free-{number}"))
            assert stored.result is Result.STORED
        assert time.monotonic() - started < 0.9
        assert not any(task.done() for task in waiting)
        await turn.rollback()
    assert [(await task).result for task in waiting] == [Result.STORED] * 3
    await batcher.aclose()


async def test_an_event_whose_conversation_stays_locked_is_refused_after_a_second(
    database: Database, engine: AsyncEngine
) -> None:
    batcher = Batcher(database.store_together, database.store_singly)
    await batcher.store(arrival("locked"))
    async with engine.connect() as turn:
        await turn.execute(text("SELECT 1 FROM conversation FOR NO KEY UPDATE"))
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await batcher.store(arrival("locked"))
        assert 0.9 < time.monotonic() - started < 2.5
        await turn.rollback()
    assert (await batcher.store(arrival("locked"))).result is Result.STORED
    await batcher.aclose()


async def test_events_of_a_conversation_keep_their_order_through_lock_and_release(
    database: Database, engine: AsyncEngine
) -> None:
    batcher = Batcher(database.store_together, database.store_singly)
    await batcher.store(arrival("c", event_id="first"))
    tasks: list[asyncio.Task[Stored]] = []
    async with engine.connect() as turn:
        await turn.execute(text("SELECT 1 FROM conversation FOR NO KEY UPDATE"))
        for number in range(20):
            tasks.append(asyncio.create_task(batcher.store(arrival("c", event_id=f"{number:02}"))))
            await asyncio.sleep(0.01)
        await turn.rollback()
    for number in range(20, 40):
        tasks.append(asyncio.create_task(batcher.store(arrival("c", event_id=f"{number:02}"))))
    await asyncio.gather(*tasks)
    order = await values(engine, "SELECT event_id FROM event WHERE event_id <> 'first' ORDER BY id")
    assert order == [f"{number:02}" for number in range(40)]
    await batcher.aclose()


class Recorder:
    """Stands for the database: records what is asked of it and answers when told."""

    def __init__(self) -> None:
        self.batches: list[list[Arrival]] = []
        self.open = asyncio.Event()

    async def together(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        self.batches.append(list(arrivals))
        await self.open.wait()
        return [Stored(Result.STORED, 1) for _ in arrivals]

    async def singly(self, arrival: Arrival) -> Stored:
        raise AssertionError("nothing was locked")


async def test_what_arrives_during_a_commit_goes_together_but_no_conversation_is_in_two_batches() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.together, recorder.singly)
    tasks = []
    for conversation in ("a", "b", "a", "c", "a", "d"):
        tasks.append(asyncio.create_task(batcher.store(arrival(conversation))))
        await asyncio.sleep(0.01)
    first, second = recorder.batches
    assert [[one.external_id for one in batch] for batch in (first, second)] == [["a"], ["b"]]
    recorder.open.set()
    await asyncio.gather(*tasks)
    assert [[one.external_id for one in batch] for batch in recorder.batches[2:]] == [["a", "c", "a", "d"]]


async def test_what_nobody_waits_for_goes_with_the_next_or_alone_a_moment_later() -> None:
    recorder = Recorder()
    recorder.open.set()
    batcher = Batcher(recorder.together, recorder.singly, Bounds(company=20))
    echo = asyncio.create_task(batcher.store(arrival("a"), hurried=False))
    await asyncio.sleep(0.01)
    assert not recorder.batches and batcher.waiting == 1
    async with asyncio.timeout(10):
        await batcher.store(arrival("b"))
        await echo
    assert [[one.external_id for one in batch] for batch in recorder.batches] == [["a", "b"]]
    batcher = Batcher(recorder.together, recorder.singly, Bounds(company=0.2))
    started = time.monotonic()
    async with asyncio.timeout(10):
        await batcher.store(arrival("c"), hurried=False)
    assert time.monotonic() - started > 0.15
    assert len(recorder.batches) == 2


async def test_what_nobody_waits_for_waits_no_longer_once_the_receiver_ends() -> None:
    recorder = Recorder()
    recorder.open.set()
    batcher = Batcher(recorder.together, recorder.singly, Bounds(company=60.0))
    echo = asyncio.create_task(batcher.store(arrival("a"), hurried=False))
    await asyncio.sleep(0)
    await batcher.aclose()
    assert (await echo).result is Result.STORED


async def test_bodies_that_wait_take_no_more_memory_than_they_may() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.together, recorder.singly, Bounds(statements=1, held_bytes=10_000))
    big = [arrival(f"c{number}", body=b"x" * 4_000) for number in range(6)]
    tasks = [asyncio.create_task(batcher.store(one)) for one in big]
    await asyncio.sleep(0.01)
    refused = [task for task in tasks if task.done()]
    assert len(refused) == 3 and all(isinstance(task.exception(), Unavailable) for task in refused)
    recorder.open.set()
    await asyncio.gather(*tasks[:3])
    assert (await batcher.store(big[3])).result is Result.STORED  # there is room again


async def test_what_is_beyond_the_bounds_or_too_old_is_refused() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.together, recorder.singly, Bounds(statements=1, waiting=3, patience=0.1))
    tasks = [asyncio.create_task(batcher.store(arrival())) for _ in range(1)]
    await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(batcher.store(arrival())) for _ in range(4)]
    await asyncio.sleep(0.2)
    assert batcher.waiting == 3
    recorder.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], Stored)
    assert all(isinstance(result, Unavailable) for result in results[1:])
    assert len(recorder.batches) == 1


json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=15,
)


async def test_whatever_json_comes_the_database_takes_it(database: Database) -> None:
    collected: list[object] = []

    @settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck))
    @given(json_values)
    def collect(value: object) -> None:
        collected.append(value)

    collect()
    extremes: list[object] = [1e308, -1e308, 5e-324, 2**63 - 1, -(2**63), 10**400, "\x00", "\ud800"]
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    arrivals = []
    for value in [*collected, *extremes, deep]:
        payload: Json = storable({"eventType": "X", "value": value})
        assert isinstance(payload, dict)
        one = arrival()
        arrivals.append(
            Arrival(
                **{name: getattr(one, name) for name in Arrival.__slots__ if name != "payload"},
                payload=ParsedEvent("X", "c", None, payload).encoded(),
            )
        )
    for start in range(0, len(arrivals), 50):
        stored = await database.store_together(arrivals[start : start + 50])
        assert {result.result for result in stored} == {Result.STORED}


async def test_the_statement_finds_everything_by_key_however_small_the_tables_were(
    database_url: str, engine: AsyncEngine
) -> None:
    from app.receiver.inbox import _columns
    from app.receiver.pool import close, create_pool

    pool = await create_pool(database_url, size=1, lock=1, application="test")
    async with pool.acquire() as connection:
        rows = await connection.fetch(f"EXPLAIN {STORE}", *_columns([arrival() for _ in range(20)]))
    await close(pool)
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    assert "event_endpoint_event_id_key" in plan
