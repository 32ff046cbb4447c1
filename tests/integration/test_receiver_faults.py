"""The receiver while something is wrong: the database, the network, what is sent, what is in its way."""

from __future__ import annotations

import asyncio
import socket
import string
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.database.embedded import EmbeddedPostgres
from app.database.engine import DUE_CHANNEL, connect, wait_until_ready
from app.database.schema import upgrade
from app.endpoints import Endpoints
from app.errors import ConfigurationError
from app.receiver.main import listen, serving
from app.receiver.notifier import LONGEST, Notifier, payloads
from app.receiver.throttle import Throttle
from app.settings import Settings
from app.tls import certificates
from tests.integration.webhooks import KEY, TENANT, TOKEN, Scene, event, receiving


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with receiving(database_url) as found:
        yield found


@pytest.fixture
async def heard(database_url: str) -> AsyncIterator[asyncio.Queue[str]]:
    """What a worker that listens hears."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    connection = await connect(database_url, application="listener")
    await connection.add_listener(DUE_CHANNEL, lambda *args: queue.put_nowait(str(args[3])))
    yield queue
    await connection.close()


#: `Test Connection`, which 8x8 doesn't sign.
VERIFY = b'{"eventType": "WEB_HOOK_VERIFY"}'


async def test_while_the_database_is_away_8x8_is_asked_to_send_again_and_then_all_is_well(
    tmp_path: Path,
) -> None:
    server = EmbeddedPostgres(tmp_path)
    server.prepare()
    process = server.start()
    try:
        server.wait_until_ready(process)
        await upgrade(server.url)
        async with receiving(server.url) as scene:
            body = event()
            assert (await scene.post(body)).status_code == 200
            assert (await scene.admin("/ready")).status_code == 200
            await scene.database.close()
            await asyncio.to_thread(server.stop)
            process.wait()
            started = time.monotonic()
            answers = await asyncio.gather(*[scene.post(body, event_id="again") for _ in range(20)])
            assert {answer.status_code for answer in answers} == {503}
            assert time.monotonic() - started < 5
            assert (await scene.post(VERIFY, {})).status_code == 503
            assert (await scene.admin("/ready")).status_code == 503
            assert (await scene.client.get("/health")).status_code == 200
            process = server.start()
            await wait_until_ready(server.url, within=20)
            assert (await scene.post(body, event_id="again", retry=1)).json() == {"result": "stored"}
            assert (await scene.post(VERIFY, {})).status_code == 200
            scene.database = await connect(server.url, application="test")
            assert await scene.value("SELECT verified_at IS NOT NULL FROM endpoint_state")
            assert (await scene.admin("/ready")).status_code == 200
    finally:
        await asyncio.to_thread(server.stop)
        process.wait()


async def test_a_database_that_never_was_there_does_not_keep_the_receiver_from_starting() -> None:
    endpoints = Endpoints.model_validate(
        {
            "endpoints": [
                {
                    "name": "support",
                    "token": TOKEN,
                    "flow": "a:b",
                    "verify_signatures": False,
                    "eightxeight": {"api_key": "k" * 16, "tenant": TENANT},
                }
            ]
        }
    )
    url = "postgresql://nobody@127.0.0.1:1/none"
    async with (
        serving(Settings(port=0, admin_port=0), endpoints, database_url=url) as ports,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.public}", verify=certificates()) as client,
    ):
        answer = await client.post(f"/8x8/{TOKEN}", content=event(), headers={"x-8x8-event-id": "e"})
        assert answer.status_code == 503
        assert "database" in answer.json()["error"]


async def test_connections_that_the_database_cut_are_replaced_without_losing_an_event(scene: Scene) -> None:
    for _ in range(3):
        answers = await asyncio.gather(*[scene.post(event()) for _ in range(5)])
        assert {answer.status_code for answer in answers} == {200}
        await scene.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert (await scene.post(event())).status_code == 200
    assert await scene.value("SELECT count(*) FROM event") == 16


async def test_tables_of_another_version_are_not_ready(scene: Scene) -> None:
    await scene.database.execute("UPDATE alembic_version SET version_num = 'other'")
    answer = await scene.admin("/ready")
    assert answer.status_code == 503
    assert "other" in answer.json()["reason"]


async def test_workers_are_told_of_what_is_due(scene: Scene, heard: asyncio.Queue[str]) -> None:
    await asyncio.gather(*[scene.post(event(conversation=f"c{number}")) for number in range(5)])
    told: set[str] = set()
    async with asyncio.timeout(5):
        while len(told) < 5:
            told |= set((await heard.get()).split(","))
    stored = await scene.database.fetch("SELECT id FROM conversation")
    assert told == {str(row["id"]) for row in stored}


async def test_workers_are_not_told_of_what_can_wait_nor_of_duplicates(
    scene: Scene, heard: asyncio.Queue[str]
) -> None:
    await scene.post(event(conversation="a", isEcho=True))
    await scene.post(event("ACTIVITY", "b", name="typing", value={"users": []}))
    await scene.post(event("ACTIVITY", "c", name="read-receipts", value=[]))
    body = event(conversation="d")
    for _ in range(2):
        await scene.post(body, event_id="same")
    await scene.post(event(conversation="e"))
    rows = await scene.database.fetch(
        "SELECT id, external_id FROM conversation WHERE external_id IN ('d', 'e')"
    )
    expected = {row["external_id"]: str(row["id"]) for row in rows}
    told: list[str] = []
    async with asyncio.timeout(5):
        while expected["e"] not in told:
            told += (await heard.get()).split(",")
    assert told == [expected["d"], expected["e"]]
    assert await scene.value("SELECT count(*) FROM conversation WHERE due_at IS NULL") == 0


async def test_the_notifier_finds_its_way_back(scene: Scene, heard: asyncio.Queue[str]) -> None:
    await scene.post(event())
    async with asyncio.timeout(5):
        await heard.get()
    await scene.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parley-notify' "
        "AND datname = current_database()"
    )
    async with asyncio.timeout(10):
        while heard.empty():
            assert (await scene.post(event())).status_code == 200
            await asyncio.sleep(0.05)


async def test_a_notifier_without_a_database_harms_nothing() -> None:
    async def refuse() -> asyncpg.Connection[asyncpg.Record]:
        tried.set()
        raise ConnectionRefusedError

    tried = asyncio.Event()
    notifier = Notifier(refuse)
    notifier.start()
    for number in range(20_000):
        notifier.add(number)
    async with asyncio.timeout(5):
        await tried.wait()
    await notifier.aclose()


def test_notifications_are_short_enough() -> None:
    ids = {10**15 + number: None for number in range(2000)}
    parts = list(payloads(ids))
    assert max(len(part) for part in parts) <= LONGEST
    assert [int(one) for part in parts for one in part.split(",")] == list(ids)
    assert list(payloads({})) == []


async def test_metrics_tell_what_happened(scene: Scene) -> None:
    body = event()
    await scene.post(body, event_id="one")
    await scene.post(body, event_id="one")
    await scene.post(event(text="other"), event_id="one")
    await scene.post(body, {})
    await scene.post(body, token="x" * 20)
    text = (await scene.admin("/metrics")).text
    for line in (
        'parley_events_total{endpoint="support",result="stored",type="MESSAGE"} 1.0',
        'parley_events_total{endpoint="support",result="duplicate",type="MESSAGE"} 1.0',
        'parley_events_total{endpoint="support",result="mismatch",type="MESSAGE"} 1.0',
        'parley_refused_total{endpoint="support",status="401"} 1.0',
        'parley_refused_total{endpoint="",status="404"} 1.0',
        'parley_key_fetches_total{result="found"} 1.0',
        'parley_incidents_total{kind="body_mismatch"} 1.0',
        "parley_ack_seconds_count 5.0",
    ):
        assert line in text
    assert TOKEN not in text


async def test_nothing_secret_and_no_text_is_logged(
    scene: Scene, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    body = event(text="my secret text")
    headers = scene.headers(body, event_id="one")
    await scene.post(body, headers)
    await scene.post(event(text="my other secret text"), event_id="one")
    await scene.post(body, headers | {"x-8x8-tenant-id": "other"})
    await scene.post(b"my secret text")
    await scene.post(body, at=time.time() - 9999)
    await scene.post(body, token="unknown-" + TOKEN)
    written = capsys.readouterr()
    logged = written.out + written.err + caplog.text
    assert "body_mismatch" in logged
    assert "clock_differs" in logged
    assert "this_clock" in logged
    for secret in ("secret text", TOKEN, headers["x-8x8-signature"], "k" * 16):
        assert secret not in logged


async def test_refusals_that_are_alike_are_told_once_in_a_while(scene: Scene) -> None:
    with capture_logs() as logs:
        for number in range(30):
            assert (await scene.post(event(), token=f"guess-{number}")).status_code == 404
        assert (await scene.post(event(), {})).status_code == 401
    assert [line["status"] for line in logs if line["event"] == "event_refused"] == [404, 401]


def test_what_a_throttle_holds_back_is_counted() -> None:
    now = [0.0]
    throttle = Throttle(10.0, clock=lambda: now[0])
    assert [throttle.passes("a") for _ in range(5)] == [True, False, False, False, False]
    assert throttle.passes("b")
    assert throttle.held_back("b") == 0
    now[0] = 10.0
    assert throttle.passes("a")
    assert (throttle.held_back("a"), throttle.held_back("a")) == (4, 0)
    throttle.forget("a")
    assert throttle.passes("a")


def test_a_taken_port_is_named_with_its_variable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"{port}.*PARLEY_PORT"):
            listen("127.0.0.1", port, "PARLEY_PORT")


odd = st.binary(max_size=60) | st.sampled_from(
    [
        rb'{"eventType":"MESSAGE","conversationId":"\u0000","data":{"text":"\u0000"}}',
        rb'{"eventType":"MESSAGE","conversationId":"\ud800","data":{"text":"\udc00\ud800"}}',
        b'{"eventType":"X","conversationId":"c","n":1e999999,"m":-1e999999}',
        b'{"eventType":"X","conversationId":"c","n":' + b"9" * 6000 + b"}",
        b'{"eventType":"X","conversationId":"c","timestamp":' + b"9" * 400 + b"}",
        b'{"eventType":"X","conversationId":"c","timestamp":-99999999999999999}',
        b'{"eventType":"X","eventType":"Y","conversationId":"c","conversationId":"d"}',
        b'{"eventType":"X","conversationId":"' + b"c" * 5000 + b'"}',
        b'{"eventType":"' + b"X" * 5000 + b'","conversationId":"c"}',
        b'{"eventType":"X","conversationId":"c","data":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"eventType":"X","data":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"eventType":"X","conversationId":"c","text":"\xff\xfe"}',
        b'{"eventType":"X","conversationId":"c","text":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"eventType":"X","conversationId":"c"}',
        '{"eventType":"X","conversationId":"c"}'.encode("utf-16"),
        b'{"eventType":"X","conversationId":"c","n":NaN,"m":Infinity}',
    ]
)
printable = st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=80)
headers = st.dictionaries(
    st.sampled_from(
        [
            "x-8x8-signature",
            "x-8x8-retry",
            "x-8x8-transmission-time",
            "x-8x8-event-id",
            "x-8x8-tenant-id",
            "content-type",
            "content-encoding",
        ]
    ),
    printable,
    max_size=3,
)


async def test_nothing_that_is_sent_makes_the_receiver_fail(scene: Scene) -> None:
    """Signed and unsigned, odd and ordinary; only the answers the contract knows."""
    cases: list[tuple[bytes, dict[str, str], bool]] = []

    @settings(max_examples=250, database=None, suppress_health_check=list(HealthCheck))
    @given(odd | st.just(event()), headers, st.booleans())
    def collect(body: bytes, changes: dict[str, str], signed: bool) -> None:
        cases.append((body, changes, signed))

    collect()
    seen: set[int] = set()
    for body, changes, signed in cases:
        base = scene.headers(body) if signed else {}
        answer = await scene.post(body, base | {name: value.strip() for name, value in changes.items()})
        assert answer.status_code in (200, 400, 401, 404, 413, 503), (body[:80], changes)
        assert answer.status_code != 503 or signed or "key" in answer.json()["error"]
        seen.add(answer.status_code)
    assert {200, 400, 401} <= seen


async def test_raw_nonsense_on_the_wire_is_survived(scene: Scene) -> None:
    for raw in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        f"POST /8x8/{TOKEN} HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".encode(),
        f"POST /8x8/{TOKEN} HTTP/1.1\r\nhost: x\r\ncontent-length: {'9' * 30}\r\n\r\n".encode(),
        f"POST /8x8/{TOKEN} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nab".encode(),
        f"POST /8x8/{TOKEN} HTTP/1.1\r\nhost: x\r\nx-8x8-event-id: \xff\xfe\r\n\r\n".encode("latin-1"),
        b"POST /8x8/\xff\xfe HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.ports.public)
        writer.write(raw)
        writer.write_eof()
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert b" 500 " not in answer.partition(b"\r\n")[0]
        writer.close()
    assert (await scene.post(event(), key=KEY)).status_code == 200
