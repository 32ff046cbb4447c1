"""`parley replay` over a real database: which stored dialogs still fit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.bot import Chat
from app.conversation.driver import Bot
from app.conversation.replay_stored import replay_stored
from app.database.tables import metadata
from app.errors import ConfigurationError

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


async def asks(chat: Chat) -> None:
    await chat.ask("Number?", parse=int)
    found = await chat.step(print, name="find")
    for key in found:
        await chat.say(key)
    await chat.say(f"{chat.session['n']} {found['total'] / 3}")


def bots(path: str) -> Bot:
    if path != "bots:asks":
        raise ConfigurationError(f"there is no bot {path}")
    return asks


Stored = tuple[str, str | None, dict[str, Any]]
INPUT: Stored = ("input", None, {"message": {"text": "hi"}})
QUESTION: Stored = ("output", None, {"text": "x", "quick_replies": [], "card": None, "raw": None})
ANSWER: Stored = ("input", None, {"message": {"text": "12"}})
STEP: Stored = ("step", "find", {"key": "k", "group": 3})
RESULT: Stored = ("result", "find", {"step": 3, "value": {"zebra": 1, "ape": 1, "total": 1e17}})


async def stored(connection: AsyncConnection, status: str, entries: Sequence[Stored], **changes: Any) -> int:
    """A dialog with its journal in a conversation of its own; its id."""
    number = len((await connection.execute(select(metadata.tables["conversation"].c.id))).all())
    conversation = await _insert(
        connection, "conversation", endpoint=changes.pop("endpoint", "support"), external_id=f"c{number}"
    )
    session = await _insert(connection, "session", conversation_id=conversation)
    values = {
        "bot": "bots:asks",
        "seed": 1,
        "session_data": {"n": 1},
        "contact_data": {},
        "started_at": BEGAN,
        "ended_at": None if status in ("running", "waiting") else BEGAN,
        **changes,
    }
    dialog = await _insert(
        connection, "dialog", conversation_id=conversation, session_id=session, status=status, **values
    )
    for position, (kind, name, content) in enumerate(entries):
        at = BEGAN + timedelta(seconds=position)
        row = {
            "dialog_id": dialog,
            "position": position,
            "kind": kind,
            "name": name,
            "content": content,
            "at": at,
        }
        await connection.execute(insert(metadata.tables["journal"]).values(row))
    return dialog


async def _insert(connection: AsyncConnection, name: str, **values: Any) -> int:
    table = metadata.tables[name]
    key: int = (await connection.execute(insert(table).values(**values).returning(table.c.id))).scalar_one()
    return key


async def test_each_open_dialog_is_replayed_and_told(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        fits = await stored(connection, "waiting", [INPUT, QUESTION])
        running = await stored(connection, "running", [INPUT, QUESTION, ANSWER, STEP])
        other = await stored(connection, "waiting", [INPUT, STEP])
        gone = await stored(connection, "waiting", [INPUT], bot="bots:gone")
        fails = await stored(connection, "running", [INPUT, QUESTION, ANSWER, STEP, RESULT], session_data={})
        await stored(connection, "completed", [INPUT])
        await stored(connection, "diverged", [INPUT, STEP])
    report = await replay_stored(engine, bots)
    assert [(dialog.dialog_id, dialog.result, dialog.position) for dialog in report.dialogs] == [
        (fits, "ok", None),
        (running, "ok", None),
        (other, "diverged", 1),
        (gone, "unloadable", None),
        (fails, "failed", None),
    ]
    details = [dialog.detail for dialog in report.dialogs]
    assert details[2] == "the bot wants output where the journal has step find"
    assert details[3] == "there is no bot bots:gone"
    assert details[4].startswith("KeyError at ")
    assert report.dialogs[0].conversation == "c0"
    assert not report.ok
    assert (report.count("ok"), report.count("diverged")) == (2, 1)


async def test_ended_dialogs_are_replayed_on_request_and_one_endpoint_alone(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        said = [QUESTION] * 4
        over = await stored(connection, "completed", [INPUT, QUESTION, ANSWER, STEP, RESULT, *said])
        await stored(connection, "completed", [INPUT], started_at=BEGAN - timedelta(days=1))
        elsewhere = await stored(connection, "waiting", [INPUT, QUESTION], endpoint="sales")
    assert [dialog.dialog_id for dialog in (await replay_stored(engine, bots)).dialogs] == [elsewhere]
    report = await replay_stored(engine, bots, since=BEGAN)
    assert [(dialog.dialog_id, dialog.result) for dialog in report.dialogs] == [
        (over, "ok"),
        (elsewhere, "ok"),
    ]
    only = await replay_stored(engine, bots, since=BEGAN, endpoint="support")
    assert [dialog.dialog_id for dialog in only.dialogs] == [over]
    assert only.ok


async def test_a_replay_writes_nothing(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await stored(connection, "running", [INPUT])
    await replay_stored(engine, bots)
    async with engine.connect() as connection:
        assert len((await connection.execute(select(metadata.tables["journal"]))).all()) == 1
        assert (
            await connection.execute(select(metadata.tables["dialog"].c.status))
        ).scalar_one() == "running"
