"""`parley contacts find | export | erase`, called as a person calls them.

What there is to hand out and to erase is read off the tables themselves: a table that names a conversation,
and a column of it that can hold a text, is in these tests from the day it is made.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    LargeBinary,
    Table,
    Text,
    inspect,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.analytics.rollup import roll_up
from app.database.tables import metadata
from tests.integration.scene import Scene
from tests.integration.test_commands import Run, runner
from tests.integration.test_contacts_erased import SECRETS, holding, met

PLANTED = "zanzibar-planted"
FLOW_RUN = "00000000-0000-4000-8000-000000000001"

#: Texts that tell of nobody: words of Parley's own, 8x8's ids of events, queues and agents, names of bots.
STAYS = {
    "conversation": {"endpoint", "channel", "state", "control"},
    "session": {"end_reason", "language", "locale"},
    "event": {"endpoint", "event_id", "type", "outcome", "body_sha256"},
    "dialog": {"bot", "status"},
    "handover": {"endpoint", "queue", "status", "agents", "message_events"},
    "handover_transition": {"cause", "status", "agent_id"},
    "mark": {"endpoint", "kind"},
    "session_run": {"state"},
    "incident": {"endpoint", "kind"},
    "file": {"key", "endpoint", "direction", "type", "state", "scan"},
}


def reaching() -> dict[str, str]:
    """Every table with rows of a conversation, and which of them are Zoe's: conversation 1 is hers."""
    found = {name: "t.conversation_id = 1" for name, t in metadata.tables.items() if "conversation_id" in t.c}
    found["conversation"] = "t.id = 1"
    while True:
        before = len(found)
        for name, table in metadata.tables.items():
            for key in table.foreign_keys:
                parent = key.column.table.name
                if name not in found and parent in found:
                    where = found[parent].replace("t.", "p.")
                    found[name] = f"t.{key.parent.name} IN (SELECT p.id FROM {parent} p WHERE {where})"
        if len(found) == before:
            return found


REACHING = reaching()


@pytest.fixture
async def play(engine: AsyncEngine) -> Scene:
    """Zoe and somebody else, with rows in every table there is, a secret in every text of hers."""
    return await planted_scene(engine)


async def planted_scene(engine: AsyncEngine) -> Scene:
    """Zoe and somebody else, with rows in every table there is, a secret in every text of hers."""
    play = await met(engine)
    async with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name in REACHING and not await rows_of(connection, table.name):
                await add_row(connection, table)
        for name in REACHING:
            for column in metadata.tables[name].c:
                await plant(connection, name, column)
        await connection.execute(text("UPDATE mark SET kind = 'intent', endpoint = 'support'"))
        await connection.execute(text("UPDATE handover SET reason = 'refused with 400: ' || reason"))
    await roll_up(engine, now=play.clock())
    return play


async def rows_of(connection: AsyncConnection, name: str) -> list[Any]:
    """Zoe's rows of a table, as JSON."""
    query = f"SELECT to_jsonb(t) FROM {name} t WHERE {REACHING[name]}"
    return list((await connection.execute(text(query))).scalars())


async def add_row(connection: AsyncConnection, table: Table) -> None:
    """A row of Zoe's in a table that a conversation does not fill by itself."""
    values: dict[str, str] = {}
    for column in table.c:
        needed = not column.nullable and column.server_default is None
        if column.name == "conversation_id":
            values[column.name] = "1"
        elif column.foreign_keys:
            (key,) = column.foreign_keys
            parent = key.column.table.name
            where = REACHING.get(parent, "true")
            values[column.name] = f"(SELECT t.id FROM {parent} t WHERE {where} ORDER BY t.id LIMIT 1)"
        elif needed and not (column.primary_key and column.autoincrement):
            values[column.name] = sample(table, column)
    names = ", ".join(values)
    await connection.execute(
        text(f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(values.values())})")
    )


def sample(table: Table, column: Column[Any]) -> str:
    """SQL of some value that the column takes."""
    if isinstance(column.type, DateTime):
        return "now()"
    if isinstance(column.type, BigInteger):
        return "1"
    if isinstance(column.type, LargeBinary):
        return "'x'"
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            words = re.match(rf"{column.name} IN \('(\w+)'", str(constraint.sqltext))
            if words:
                return f"'{words[1]}'"
    return "'x'"


async def plant(connection: AsyncConnection, name: str, column: Column[Any]) -> None:
    """Have the column of all of Zoe's rows hold a secret, as far as it can hold any text."""
    secret = f"'{PLANTED}-' || t.ctid"
    if column.name in STAYS.get(name, ()) or column.primary_key:
        return
    if isinstance(column.type, JSONB):
        value = f"jsonb_build_object('x', {secret})"
    elif isinstance(column.type, LargeBinary):
        value = f"convert_to({secret}, 'UTF8')"
    elif isinstance(column.type, Text):
        value = secret
    else:
        return
    statement = f"UPDATE {name} t SET {column.name} = {value} WHERE {REACHING[name]}"
    try:
        async with connection.begin_nested():
            await connection.execute(text(statement))
    except IntegrityError:  # a fixed choice of words
        return


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    return runner(tmp_path, PARLEY_DATABASE_URL=database_url)


async def planted(play: Scene) -> dict[str, int]:
    """Rows of each table that hold a planted secret."""
    found = {}
    for name in metadata.tables:
        query = (
            f"SELECT count(*) FROM {name} t WHERE CAST(t AS text) || CAST(to_jsonb(t) AS text) "
            f"~ '{PLANTED}|{PLANTED.encode().hex()}'"
        )
        if count := await play.value(query):
            found[name] = count
    return found


async def test_every_table_that_names_a_conversation_is_seen_by_these_tests(play: Scene) -> None:
    async with play.engine.connect() as connection:
        empty = [name for name in REACHING if not await rows_of(connection, name)]
        there = await connection.run_sync(lambda c: inspect(c).get_table_names())
    assert empty == []
    assert set(there) - {"alembic_version"} == set(metadata.tables)
    words_only = {"delivery_attempt", "timer", "handover_transition"}
    holding_planted = await planted(play)
    assert REACHING.keys() - words_only <= holding_planted.keys() | {"contact"}
    assert "rollup_part" in holding_planted, "and so is what is counted of it"


async def test_find_shows_who_it_is_for_people_and_as_json(play: Scene, run: Run) -> None:
    shown = run("contacts", "find", "zanzibar-user")
    assert shown.returncode == 0 and "Zoe Zanzibar" in shown.stdout and "Other" not in shown.stdout
    for how in (["--email", "zoe@zanzibar.example"], ["--phone", "0041 79 123 45 67"]):
        (found,) = json.loads(run("contacts", "find", *how, "--json").stdout)
        assert (found["identity"], found["profile"]["name"]) == ("user:zanzibar-user", "Zoe Zanzibar")
        assert found["conversations"] == [1]
    assert json.loads(run("contacts", "find", "nobody", "--json").stdout) == []
    nobody = run("contacts", "find")
    assert nobody.returncode == 2 and "say which contact" in nobody.stderr


async def test_an_export_is_json_with_every_column_of_every_row_of_hers_and_of_nobody_else(
    play: Scene, run: Run
) -> None:
    done = run("contacts", "export", "--email", "zoe@zanzibar.example")
    assert done.returncode == 0, done.stderr
    stored = json.loads(done.stdout)
    assert stored.keys() == REACHING.keys() | {"contacts"}
    async with play.engine.connect() as connection:
        for name in REACHING:
            rows = await rows_of(connection, name)
            assert len(stored[name]) == len(rows) > 0, name
            assert all(row.keys() == set(metadata.tables[name].c.keys()) for row in stored[name]), name
    (contact,) = stored["contacts"]
    assert contact["profile"]["email"] == "zoe@zanzibar.example"
    assert "other@example.com" not in done.stdout
    gone = run("contacts", "export", "nobody")
    assert (gone.returncode, gone.stdout) == (2, "") and "no such contact" in gone.stderr


async def test_erase_leaves_nothing_of_hers_in_any_column_of_any_table(play: Scene, run: Run) -> None:
    asked = run("contacts", "erase", "zanzibar-user")
    assert asked.returncode == 2 and "nothing was erased" in asked.stderr
    assert "typed" not in asked.stdout + asked.stderr
    by_email = run("contacts", "erase", "--email", "zoe@zanzibar.example")
    assert "e-mail that somebody typed" in by_email.stderr and "on every endpoint" in by_email.stderr
    of_one = run("contacts", "erase", "--email", "zoe@zanzibar.example", "--endpoint", "support")
    assert "e-mail that somebody typed" in of_one.stderr and "on every endpoint" not in of_one.stderr
    assert await holding(play) != {} and await planted(play) != {}
    others = await of_others(play)

    async with play.engine.begin() as connection:
        set_run = f"UPDATE session_run SET flow_run_id = '{FLOW_RUN}' WHERE conversation_id = 1"
        await connection.execute(text(set_run))
    done = run("contacts", "erase", "zanzibar-user", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 contact erased, with 1 conversation\n"
    assert await planted(play) == {}
    assert await holding(play) == {}
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    assert await of_others(play) == others, "others keep all of theirs"
    assert f"prefect flow-run delete {FLOW_RUN}" in done.stderr
    again = run("contacts", "erase", "zanzibar-user", "--yes")
    assert again.returncode == 2 and "no such contact" in again.stderr


async def of_others(play: Scene) -> dict[str, list[str]]:
    """Every row of everybody else."""
    found = {}
    for name, hers in REACHING.items():
        query = f"SELECT CAST(to_jsonb(t) AS text) FROM {name} t WHERE NOT COALESCE({hers}, false) ORDER BY 1"
        found[name] = [row[0] for row in await play.rows(query)]
    return found
