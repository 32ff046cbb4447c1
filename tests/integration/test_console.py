"""The console over HTTP: who may see it, what it shows, and what its one button does."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access.tokens import new_token
from app.analytics.rollup import roll_up
from app.bot import Chat
from app.console import rendering, static
from app.endpoints import Endpoints
from app.gateway.outcome import Refused
from tests.integration.admin_pages import admin, csrf
from tests.integration.scene import Scene, endpoint, scene

PASSWORD = "correct horse battery"


async def clerk(chat: Chat) -> None:
    chat.understood(chat.message.text != "<b>gibberish</b>")
    chat.intent("greeting")
    await chat.step(len, chat.message.text)
    await chat.say(f"You said {chat.message.text}.", quick_replies=["Yes", "No"])
    await chat.receive()


@pytest.fixture
async def told(engine: AsyncEngine) -> Scene:
    """Three conversations; the last one's reply is dead."""
    play = scene(engine, clerk)
    await play.post(
        {
            "eventType": "CONVERSATION_UPDATE",
            "conversationId": play.conversation,
            "data": {
                "state": "created",
                "channel": "WebChat",
                "user": {"userId": "u1", "name": "Ada", "email": "a@b.c"},
            },
        }
    )
    for number, words in enumerate(["hello", "<b>gibberish</b>", "lost"]):
        play.conversation = f"ID-{number}"
        if words == "lost":
            play.gateway.answers = [Refused(400, "no")]
        await play.says(words)
        await play.work()
    await roll_up(engine, now=datetime.now(UTC))
    return play


@pytest.fixture
async def client(told: Scene, database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on this machine, no password set."""
    async with admin(database_url, tmp_path) as client:
        yield client


async def page(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(f"/console{path}")
    assert answer.status_code == 200, answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


async def test_the_overview_shows_what_was_counted(client: httpx.AsyncClient) -> None:
    text = await page(client, "")
    assert re.search(r"<dt>Sessions</dt><dd>3</dd>", text)
    assert re.search(r"<dt>Understood</dt><dd>67 %</dd>", text)
    assert re.search(r"<dt>Delivered</dt><dd>67 %</dd>", text)
    assert "greeting" in text and "refused with 400" in text
    assert "&lt;b&gt;gibberish&lt;/b&gt;" in text and "<b>gibberish" not in text
    assert "Nothing is counted" not in await page(client, "?span=24h&endpoint=support")
    assert re.search(r"<dt>Sessions</dt><dd>0</dd>", await page(client, "?endpoint=other"))
    for path in re.findall(r'(?:src|href)="(/console/(?:static|vendor)/[^"]+)"', text):
        answer = await client.get(path)
        if "vendor" not in path:  # installed by `make page`
            assert answer.status_code == 200, path


async def test_what_has_just_happened_is_counted_when_somebody_looks(
    client: httpx.AsyncClient, told: Scene
) -> None:
    told.conversation = "ID-new"
    await told.says("just now")
    await told.work()
    async with asyncio.timeout(15):
        while "<dt>Sessions</dt><dd>4</dd>" not in await page(client, "?span=24h"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"ID-0", "ID-1", "ID-2"}),
        ("q=ID-1", {"ID-1"}),
        ("q=Ada", {"ID-0"}),
        ("q=a@b.c", {"ID-0"}),
        ("q=u1", {"ID-0"}),
        ("q=nobody", set()),
        ("q=%00%25'", set()),
        ("channel=WebChat", {"ID-0"}),
        ("outcome=contained", {"ID-0", "ID-1", "ID-2"}),
        ("outcome=handover", set()),
        ("outcome=undelivered", {"ID-2"}),
        ("endpoint=support&since=2020-01-01", {"ID-0", "ID-1", "ID-2"}),
        ("endpoint=other", set()),
        ("until=2020-01-01", set()),
        ("since=nonsense&outcome=nonsense&before=x", {"ID-0", "ID-1", "ID-2"}),
    ],
)
async def test_conversations_are_found(client: httpx.AsyncClient, query: str, found: set[str]) -> None:
    text = await page(client, f"/conversations?{query}")
    assert set(re.findall(r">(ID-\d)</a>", text)) == found


async def test_a_conversation_is_a_transcript_and_one_timeline(
    client: httpx.AsyncClient, told: Scene
) -> None:
    number = await told.value("SELECT id FROM conversation WHERE external_id = 'ID-1'")
    text = await page(client, f"/conversations/{number}")
    assert "&lt;b&gt;gibberish&lt;/b&gt;" in text and "<b>gibberish" not in text
    assert text.index("You said") < text.index("Timeline")
    for what in ("webhook", "turn", "dialog", "step", "delivery", "mark"):
        assert f'class="tag {what}"' in text, what
    assert "understood: false" in text and ">Yes</span>" in text
    assert (await client.get("/console/conversations/999999")).status_code == 404
    assert (await client.get(f"/console/conversations/{2**70}")).status_code == 404


async def test_a_run_links_to_prefect(client: httpx.AsyncClient, told: Scene, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO session_run (session_id, conversation_id, flow_run_id, name, opened_at) "
                "SELECT id, conversation_id, '123e4567-e89b-12d3-a456-426614174000', 'the run', started_at "
                "FROM session WHERE conversation_id = 1"
            )
        )
    shown = await page(client, "/conversations/1")
    assert "/runs/flow-run/123e4567-e89b-12d3-a456-426614174000" in shown


async def test_a_dead_letter_is_redriven_from_its_page(client: httpx.AsyncClient, told: Scene) -> None:
    shown = await page(client, "/dead-letters")
    [delivery] = re.findall(r'name="delivery" value="(\d+)"', shown)
    form = {"csrf": csrf(shown), "delivery": delivery}
    for wrong in ({**form, "csrf": "nonsense"}, {"delivery": delivery}):
        assert (await client.post("/console/dead-letters", data=wrong)).status_code == 403
    elsewhere = await client.post(
        "/console/dead-letters", data=form, headers={"sec-fetch-site": "cross-site"}
    )
    assert elsewhere.status_code == 403
    assert await told.statuses() == ["sent", "sent", "dead"]
    answer = await client.post("/console/dead-letters", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/dead-letters")
    assert "1 will be sent again." in await page(client, "/dead-letters")
    assert "will be sent again." not in await page(client, "/dead-letters"), "it is said once"
    told.conversation = "ID-2"
    await told.work()
    assert await told.statuses() == ["sent", "sent", "sent"]
    await client.post("/console/dead-letters?endpoint=support", data={"csrf": form["csrf"]})
    assert "Nothing was chosen." in await page(client, "/dead-letters?endpoint=support")


async def test_dead_letters_of_one_endpoint(client: httpx.AsyncClient) -> None:
    assert "ID-2" in await page(client, "/dead-letters?endpoint=support")
    assert "There are none" in await page(client, "/dead-letters?endpoint=other")


@pytest.mark.parametrize(
    "path",
    [
        "?endpoint=%00",
        "/conversations?endpoint=a%00",
        "/conversations?channel=%00",
        "/dead-letters?endpoint=%00",
    ],
)
async def test_what_no_value_can_be_is_the_askers_mistake(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/console{path}")
    assert answer.status_code == 400 and "Not understood" in answer.text


async def test_a_page_that_begins_before_all_times_is_the_askers_mistake(client: httpx.AsyncClient) -> None:
    answer = await client.get("/console/conversations", params={"before": "0001-01-01T00:00:00+14:00~1"})
    assert answer.status_code == 400


async def test_without_the_charts_library_the_table_is_open(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(static, "VENDOR", tmp_path)
    text = await page(client, "")
    assert "/console/vendor/" not in text and "data-chart" not in text
    assert re.search(r'<details [^>]*id="series-table"[^>]* open>', text)


def test_shares_are_all_or_nothing_only_where_they_are() -> None:
    shown = [rendering.percent(each) for each in (0, 0.0002, 0.05, 0.5, 0.9997, 1, None)]
    assert shown == ["0 %", "0.1 %", "5.0 %", "50 %", "99.9 %", "100 %", "–"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8081"},
        {"x-forwarded-for": "10.0.0.1"},
        {"forwarded": "for=10.0.0.1"},
    ],
)
async def test_without_a_password_it_is_open_to_this_machine_alone(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for path in ("", "/conversations", "/conversations/1", "/dead-letters", "/conversations/1/interactions"):
        method = "POST" if path.endswith("interactions") else "GET"
        answer = await client.request(method, f"/console{path}", headers=headers)
        assert answer.status_code == 403, path
        assert "hello" not in answer.text and "ID-" not in answer.text
    assert (await client.get("/console", headers={"host": "localhost:1"})).status_code == 200


@pytest.fixture
async def locked(told: Scene, database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at a console with a password."""
    async with admin(database_url, tmp_path, console_password=PASSWORD) as client:
        yield client


async def log_in(client: httpx.AsyncClient, password: str) -> httpx.Response:
    shown = (await client.get("/console/login")).text
    return await client.post("/console/login", data={"csrf": csrf(shown), "password": password})


async def test_with_a_password_everybody_logs_in(locked: httpx.AsyncClient) -> None:
    for path in ("", "/conversations", "/conversations/1", "/dead-letters", "/conversations/1/interactions"):
        method = "POST" if path.endswith("interactions") else "GET"
        answer = await locked.request(method, f"/console{path}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/login"), path
    assert (await log_in(locked, "wrong")).status_code == 401
    assert (await locked.post("/console/login", data={"password": PASSWORD})).status_code == 403
    assert (await locked.get("/console")).status_code == 303
    answer = await log_in(locked, PASSWORD)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/console" in cookie
    shown = await page(locked, "")
    assert "Log out ops" in shown
    left = await locked.post("/console/logout", data={"csrf": csrf(shown)})
    assert left.status_code == 303
    assert (await locked.get("/console")).status_code == 303


async def test_a_token_sees_its_endpoints_and_changes_nothing(
    locked: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    _, sales = await new_token(engine, name="sales", scope="analytics", endpoints=["sales"])
    assert (await log_in(locked, sales)).status_code == 303
    assert "ID-" not in await page(locked, "/conversations")
    assert ">ID-" not in await page(locked, "/conversations?q=ID-1&endpoint=support")
    assert (await locked.get("/console/conversations/1")).status_code == 404
    assert re.search(r"<dt>Sessions</dt><dd>0</dd>", await page(locked, "?endpoint=support"))
    assert "There are none" in await page(locked, "/dead-letters")
    _, support = await new_token(engine, name="support", scope="analytics", endpoints=["support"])
    await log_in(locked, support)
    shown = await page(locked, "/dead-letters")
    assert "ID-2" in shown and 'name="delivery"' not in shown
    form = {"csrf": csrf(shown), "delivery": "3"}
    assert (await locked.post("/console/dead-letters", data=form)).status_code == 403


async def test_interactions_are_asked_of_8x8_only_then(
    told: Scene, database_url: str, tmp_path: Path
) -> None:
    asked: list[str] = []

    async def gateway(reader: Any, writer: Any) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1])
        body = b'{"_embedded": {"interactions": [{"id": "int-17", "startTime": "2026-01-01T10:00:00Z"}]}}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    import asyncio

    server = await asyncio.start_server(gateway, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    known = endpoint(eightxeight={"base_url": url, "api_key": "k" * 20, "tenant": "acme01"})
    async with server, admin(database_url, tmp_path, endpoints=Endpoints(endpoints=[known])) as client:
        form = {"csrf": csrf(await page(client, "/conversations/1"))}
        path = "/console/conversations/1/interactions"
        assert (await client.get(path)).status_code == 405
        assert (await client.post(path)).status_code == 403
        assert asked == []
        shown = html.unescape((await client.post(path, data=form)).text)
        assert "int-17" in shown
        assert asked == ["/chat-gateway/v1/conversations/ID-0/interactions"]
        await client.post(path, data=form)  # it is kept once
        of_it = (
            "SELECT about, note FROM analytics_timeline WHERE conversation_id = 1 AND what = 'interaction'"
        )
        assert [tuple(row) for row in await told.rows(of_it)] == [("int-17", "open")]
        shown = await page(client, "/conversations/1")
        assert 'class="tag interaction"' in shown and "int-17" in shown
    async with admin(database_url, tmp_path) as client:  # nobody answers there
        form = {"csrf": csrf(await page(client, "/conversations/1"))}
        assert "8x8 does not tell" in (await client.post(path, data=form)).text
