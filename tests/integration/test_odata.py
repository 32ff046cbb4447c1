"""OData over the views, asked as programs, Excel and Power BI ask."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access.tokens import new_token, revoke_token
from app.analytics.rollup import roll_up
from app.analytics.views import VIEWS
from app.bot import Chat
from app.odata.reading import Reading
from tests.integration.admin_pages import admin
from tests.integration.scene import scene

ROOT = "/odata/v1/"


async def echo(chat: Chat) -> None:
    chat.intent("echo" if chat.message.text != "50%" else "50% off")
    if chat.message.text in ("a", "b", "c", "e"):
        chat.understood(chat.message.text in ("a", "e"))
    await chat.say(f"You said {chat.message.text}.")


@pytest.fixture
async def told(engine: AsyncEngine) -> AsyncEngine:
    """Seven conversations of endpoint support and one of endpoint sales."""
    play = scene(engine, echo)
    for number, words in enumerate(["a", "b", "c", "50%", "e", "f", "g", "h"]):
        play.conversation = f"ID-{number}"
        await play.says(words)
        await play.work()
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE conversation SET endpoint = 'sales' WHERE external_id = 'ID-7'")
        )
        await connection.execute(
            text("UPDATE conversation SET channel = 'SMS' WHERE external_id IN ('ID-1', 'ID-3', 'ID-5')")
        )
    await roll_up(engine, now=datetime.now(UTC))
    return engine


@pytest.fixture
async def client(told: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token for everything."""
    _, token = await new_token(told, name="test", scope="analytics")
    async with admin(database_url, tmp_path) as client:
        client.headers["authorization"] = f"Bearer {token}"
        yield client


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(ROOT + path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["odata-version"] == "4.0"
    body: dict[str, Any] = answer.json()
    return body


async def whole(client: httpx.AsyncClient, path: str, page: int, **params: Any) -> list[dict[str, Any]]:
    """All pages of a set."""
    rows: list[dict[str, Any]] = []
    answer = await client.get(ROOT + path, params=params, headers={"prefer": f"odata.maxpagesize={page}"})
    while True:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert len(body["value"]) <= page
        rows += body["value"]
        if "@odata.nextLink" not in body:
            return rows
        answer = await client.get(body["@odata.nextLink"], headers={"prefer": f"odata.maxpagesize={page}"})


async def test_the_service_says_what_there_is(client: httpx.AsyncClient) -> None:
    body = await get(client, "")
    assert {each["name"] for each in body["value"]} == set(VIEWS)
    answer = await client.get(ROOT + "$metadata")
    assert answer.headers["content-type"].startswith("application/xml")
    edm = "{http://docs.oasis-open.org/odata/ns/edm}"
    root = ET.fromstring(answer.content)
    assert {each.get("Name") for each in root.iter(f"{edm}EntitySet")} == set(VIEWS)
    types = {each.get("Name"): each for each in root.iter(f"{edm}EntityType")}
    turn = {each.get("Name"): each.get("Type") for each in types["Turn"].iter(f"{edm}Property")}
    assert turn["latency_seconds"] == "Edm.Double" and turn["received_at"] == "Edm.DateTimeOffset"


async def test_what_is_asked_for_by_time_comes_in_its_order_page_by_page(client: httpx.AsyncClient) -> None:
    for name in ("Conversations", "Sessions", "Marks", "Messages", "Turns", "Deliveries", "Events"):
        at = VIEWS[name].at
        body = await get(client, name, **{"$filter": f"{at} ge 2000-01-01T00:00:00Z"})
        assert len(body["value"]) > 1
        assert body["value"] == sorted(body["value"], key=lambda row: (row[at], row[VIEWS[name].key[0]]))
        rows = await whole(client, name, 1, **{"$filter": f"{at} ge 2000-01-01T00:00:00Z"})
        assert rows == body["value"]


async def test_rows_of_weeks_come_in_order_of_time_however_they_were_written(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    spread = "now() - interval '1 day' * (id * 7 % 31) - interval '1 hour' * (id % 3)"
    async with engine.begin() as connection:
        for table, column in (("message", "at"), ("event", "received_at"), ("delivery", "created_at")):
            await connection.execute(text(f"UPDATE {table} SET {column} = {spread}"))
    since = (datetime.now(UTC) - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in ("Messages", "Turns", "Deliveries", "Events"):
        at, key = VIEWS[name].at, VIEWS[name].key[0]
        everything = sorted((await get(client, name))["value"], key=lambda row: (row[at], row[key]))
        wanted = [row for row in everything if row[at] >= since]
        assert 2 < len(wanted) < len(everything)
        for condition in (f"{at} ge {since}", f"{since} lt {at} and {at} gt 1999-01-01T00:00:00Z"):
            for page in (1, 2, 500):
                assert await whole(client, name, page, **{"$filter": condition}) == wanted
            some = await whole(client, name, 1, **{"$filter": condition, "$top": 2, "$skip": 1})
            assert some == wanted[1:3]
            expanded = await get(client, name, **{"$filter": condition, "$expand": "Conversation"})
            assert [row[key] for row in expanded["value"]] == [row[key] for row in wanted]
        assert await whole(client, name, 2, **{"$filter": f"{at} ge 2999-01-01T00:00:00Z"}) == []
        assert await whole(client, name, 2, **{"$filter": f"{at} ge 9999-12-31T23:59:59Z"}) == []
        assert await whole(client, name, 2, **{"$filter": f"{at} ge 1000-01-01T00:00:00Z"}) == everything


@pytest.mark.parametrize("name", VIEWS)
async def test_every_set_can_be_read_by_every_property(client: httpx.AsyncClient, name: str) -> None:
    view = VIEWS[name]
    body = await get(client, name)
    for row in body["value"]:
        assert list(row) == list(view.table.c.keys())
    for number, column in enumerate(view.table.c):
        for direction in ("asc", "desc") if column.nullable else (("asc", "desc")[number % 2],):
            rows = await whole(client, name, 5, **{"$orderby": f"{column.name} {direction}"})
            assert len(rows) == len(body["value"])
            assert sorted(map(str, rows)) == sorted(map(str, body["value"])), f"{column.name} {direction}"


async def test_filters_mean_what_odata_says(client: httpx.AsyncClient) -> None:
    async def ids(filter: str, name: str = "Conversations", of: str = "external_id") -> list[str]:
        return [str(row[of]) for row in (await get(client, name, **{"$filter": filter}))["value"]]

    assert await ids("external_id eq 'ID-2'") == ["ID-2"]
    assert await ids("channel eq 'SMS' and external_id ne 'ID-1'") == ["ID-3", "ID-5"]
    assert await ids("channel ne 'SMS' and endpoint eq 'support'") == ["ID-0", "ID-2", "ID-4", "ID-6"]
    assert await ids("channel eq null and endpoint eq 'sales'") == ["ID-7"]
    assert await ids("external_id in ('ID-1','ID-9')") == ["ID-1"]
    assert await ids("endswith(external_id,'-7') or startswith(external_id,'ID-0')") == ["ID-0", "ID-7"]
    assert await ids("contains(intent,'50%')", "Turns", "intent") == ["50% off"]
    assert await ids("contains(intent,'%o')", "Turns", "intent") == []
    soon = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await ids(f"started_at gt {soon}") == []
    assert len(await ids(f"started_at lt {soon} and is_test eq false")) == 8
    assert len(await ids("latency_seconds ge 0 and latency_seconds lt 1000", "Turns", "turn_id")) == 8
    assert await ids("external_id eq 'ID-1'' OR 1=1'") == []
    assert await ids("not (channel eq 'SMS')") == ["ID-0", "ID-2", "ID-4", "ID-6", "ID-7"]
    assert await ids(
        "not (channel eq 'SMS' or external_id in ('ID-0','ID-2')) and endpoint eq 'support'"
    ) == [
        "ID-4",
        "ID-6",
    ]
    assert await ids("not (not (channel eq 'SMS'))") == ["ID-1", "ID-3", "ID-5"]


async def test_select_top_skip_count_and_order(client: httpx.AsyncClient) -> None:
    body = await get(
        client,
        "Conversations",
        **{
            "$select": "external_id,sessions",
            "$orderby": "external_id desc",
            "$top": 2,
            "$skip": 1,
            "$count": "true",
        },
    )
    assert body["value"] == [{"external_id": "ID-6", "sessions": 1}, {"external_id": "ID-5", "sessions": 1}]
    assert body["@odata.count"] == 8
    assert body["@odata.context"].endswith("$metadata#Conversations(external_id,sessions)")
    assert "@odata.nextLink" not in body
    assert (await client.get(ROOT + "Conversations/$count")).text == "8"
    assert (await client.get(ROOT + "Messages/$count?$filter=author eq 'bot'")).text == "8"


async def test_pages_follow_each_other_by_key_and_keep_what_was_asked(client: httpx.AsyncClient) -> None:
    params = {"$filter": "endpoint eq 'support'", "$orderby": "channel desc", "$select": "external_id"}
    rows = await whole(client, "Conversations", 2, **params)
    assert [row["external_id"] for row in rows] == ["ID-5", "ID-3", "ID-1", "ID-6", "ID-4", "ID-2", "ID-0"]
    assert len(await whole(client, "Conversations", 2, **{"$top": 5})) == 5
    assert len(await whole(client, "Conversations", 3, **{"$skip": 4})) == 4


@pytest.mark.parametrize(
    "order",
    [
        "understood",
        "understood desc",
        "understood,late desc",
        "late desc,understood",
        "late,turn_id desc",
        "intent desc,understood",
        "channel,latency_seconds desc",
    ],
)
async def test_pages_of_one_row_have_every_row_in_the_order_asked_for(
    client: httpx.AsyncClient, engine: AsyncEngine, order: str
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE event SET late = true WHERE id % 2 = 0"))
    everything = (await get(client, "Turns", **{"$orderby": order}))["value"]
    assert {row["understood"] for row in everything} == {True, False, None}
    assert {row["late"] for row in everything} == {True, False}
    assert await whole(client, "Turns", 1, **{"$orderby": order}) == everything


async def test_a_row_that_comes_between_two_pages_moves_nothing(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    page = {"prefer": "odata.maxpagesize=4"}
    first = (await client.get(ROOT + "Conversations?$orderby=external_id", headers=page)).json()
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO conversation (endpoint, external_id) VALUES ('support', 'A')")
        )
    second = (await client.get(first["@odata.nextLink"], headers=page)).json()
    assert [row["external_id"] for row in second["value"]] == ["ID-4", "ID-5", "ID-6", "ID-7"]


async def test_relations_are_followed_and_expanded(client: httpx.AsyncClient) -> None:
    [conversation] = (
        await get(
            client,
            "Conversations",
            **{"$filter": "external_id eq 'ID-1'", "$expand": "Messages,Sessions,Contact"},
        )
    )["value"]
    assert [message["author"] for message in conversation["Messages"]] == ["user", "bot"]
    assert conversation["Sessions"][0]["turns"] == 1 and conversation["Contact"] is None
    number = conversation["conversation_id"]
    entity = await get(client, f"Conversations({number})", **{"$select": "external_id"})
    assert entity["external_id"] == "ID-1" and entity["@odata.context"].endswith("/$entity")
    messages = await get(
        client, f"Conversations({number})/Messages", **{"$orderby": "message_id desc", "$top": 1}
    )
    assert [message["author"] for message in messages["value"]] == ["bot"]
    assert (await client.get(ROOT + f"Conversations({number})/Contact")).status_code == 204
    session = conversation["Sessions"][0]["session_id"]
    assert (await get(client, f"Sessions({session})/Conversation"))["external_id"] == "ID-1"
    hour = (await get(client, "Hours"))["value"][0]
    key = f"Hours(hour={hour['hour']},endpoint='{hour['endpoint']}',channel='{hour['channel']}')"
    assert (await get(client, key))["sessions"] == hour["sessions"]


async def test_what_is_expanded_and_long_goes_on_behind_a_link(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO message (conversation_id, author, kind, text, at) "
                "SELECT c.id, 'user', 'text', 'x', now() FROM conversation c, generate_series(1, 60) "
                "WHERE c.external_id = 'ID-0'"
            )
        )
    [row] = (
        await get(client, "Conversations", **{"$filter": "external_id eq 'ID-0'", "$expand": "Messages"})
    )["value"]
    assert len(row["Messages"]) == 50
    rest = (await client.get(row["Messages@odata.nextLink"])).json()
    assert len(rest["value"]) == 12


async def test_what_is_wrong_is_said_in_odatas_words(client: httpx.AsyncClient) -> None:
    wrong = {
        "Nothing": 404,
        "Conversations(999999)": 404,
        "Conversations('x')": 400,
        "Conversations?$filter=nope eq 1": 400,
        "Conversations?$filter=sessions eq 'many'": 400,
        "Conversations?$filter=external_id eq": 400,
        "Conversations?$filter=external_id eq 'a' and (": 400,
        "Conversations?$filter=started_at eq 'yesterday'": 400,
        "Conversations?$filter=sessions eq 99999999999999999999999999": 400,
        "Conversations?$filter=Messages/any(m: m/text eq 'a')": 501,
        "Conversations?$filter=matchesPattern(external_id,'(a*)*b')": 501,
        "Conversations?$orderby=nope": 400,
        "Conversations?$select=nope": 400,
        "Conversations?$expand=Nope": 400,
        "Conversations?$expand=Messages($top=1)": 501,
        "Conversations?$expand=*": 501,
        "Conversations?$top=-1": 400,
        "Conversations?$skiptoken=abc": 400,
        "Conversations?$apply=aggregate($count as n)": 501,
        "Conversations?$nope=1": 400,
        "Conversations?$format=atom": 501,
        "$batch": 501,
    }
    for path, status in wrong.items():
        answer = await client.get(ROOT + path)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        assert set(answer.json()["error"]) == {"code", "message"}, path
    nulls = await client.get(ROOT + "Conversations?$filter=external_id eq 'a%00b'")
    assert nulls.status_code == 400


async def test_what_reads_nothing_is_refused_in_odatas_words(client: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("", "Conversations", "Conversations(1)"):
            answer = await client.request(method, ROOT + path, json={})
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
            assert answer.headers["odata-version"] == "4.0"
            assert answer.json()["error"]["code"] == "MethodNotAllowed"


async def test_what_a_client_prefers_and_understands_is_answered(client: httpx.AsyncClient) -> None:
    for prefers, applied in (
        ("odata.maxpagesize=2", "odata.maxpagesize=2"),
        ("maxpagesize=9999", "maxpagesize=500"),
    ):
        answer = await client.get(ROOT + "Conversations", headers={"prefer": prefers})
        assert answer.headers["preference-applied"] == applied
    assert "preference-applied" not in (await client.get(ROOT + "Conversations")).headers
    for version, status in (("3.0", 400), ("4.0", 200), ("4.01", 200)):
        answer = await client.get(ROOT + "Conversations", headers={"odata-maxversion": version})
        assert answer.status_code == status
    assert (await client.get(ROOT, headers={"odata-maxversion": "3.0"})).json()["error"]["code"]


async def test_a_mistake_of_parleys_own_is_not_laid_to_the_database(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mistaken(*_: Any, **__: Any) -> None:
        raise ArgumentError("of a private text")

    monkeypatch.setattr(Reading, "page", mistaken)
    answer = await client.get(ROOT + "Conversations")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "InternalError")
    assert "private" not in answer.text


async def test_only_a_valid_token_reads_as_bearer_or_as_basic_password(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    number, token = await new_token(engine, name="excel", scope="analytics")
    _, old = await new_token(
        engine, name="old", scope="analytics", expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )

    async def status(**headers: str) -> int:
        client.headers.pop("authorization", None)
        answer = await client.get(ROOT + "Conversations", headers=headers)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Basic")
        return answer.status_code

    def basic(password: str) -> str:
        return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()

    assert await status(authorization=f"Bearer {token}") == 200
    assert await status(authorization=basic(token)) == 200
    for wrong in (
        "",
        "Bearer",
        "Bearer nonsense",
        f"Bearer {old}",
        basic("x"),
        "Basic %%%",
        f"Token {token}",
    ):
        assert await status(authorization=wrong) == 401, wrong
    assert await status() == 401
    await revoke_token(engine, number)
    assert await status(authorization=f"Bearer {token}") == 401
    async with engine.connect() as connection:
        stored = str((await connection.execute(text("SELECT * FROM api_token"))).all())
    assert token not in stored and token.removeprefix("parley_") not in stored


async def test_a_token_reads_its_endpoints_alone(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    _, token = await new_token(engine, name="sales", scope="analytics", endpoints=["sales"])
    everything = (await get(client, "Conversations"))["value"]
    foreign = next(row["conversation_id"] for row in everything if row["endpoint"] == "support")
    own = next(row["conversation_id"] for row in everything if row["endpoint"] == "sales")
    client.headers["authorization"] = f"Bearer {token}"
    for name in VIEWS:
        rows = (await get(client, name))["value"]
        assert {row["endpoint"] for row in rows} <= {"sales"}, name
    assert (await client.get(ROOT + "Conversations/$count")).text == "1"
    body = await get(client, "Conversations", **{"$filter": "endpoint eq 'support' or true"})
    assert len(body["value"]) == 1
    assert (await client.get(ROOT + f"Conversations({foreign})")).status_code == 404
    assert (await client.get(ROOT + f"Conversations({foreign})/Messages")).status_code == 404
    assert (await client.get(ROOT + f"Conversations({own})")).status_code == 200


async def test_a_client_that_knows_nothing_but_odata_gets_along(client: httpx.AsyncClient) -> None:
    """python-odata: it reads $metadata, makes classes of it, filters, orders and follows next links."""
    odata = pytest.importorskip("odata", reason="python-odata is not installed")
    requests = pytest.importorskip("requests")
    session = requests.Session()
    session.auth = ("anyone", client.headers["authorization"].removeprefix("Bearer "))
    session.headers["Prefer"] = "odata.maxpagesize=3"

    def ask() -> tuple[list[str], list[str], int]:
        service = odata.ODataService(
            str(client.base_url) + ROOT, reflect_entities=True, session=session, quiet_progress=True
        )
        kind = service.entities["Conversations"]
        query = service.query(kind).filter(kind.endpoint == "support").order_by(kind.external_id.desc())
        everything = [each.external_id for each in query]
        sms = service.query(kind).filter(kind.channel == "SMS").limit(2).all()
        return everything, [each.external_id for each in sms], len(service.entities)

    everything, sms, sets = await asyncio.to_thread(ask)
    assert everything == ["ID-6", "ID-5", "ID-4", "ID-3", "ID-2", "ID-1", "ID-0"]
    assert sms == ["ID-1", "ID-3"]
    assert sets == len(VIEWS)
