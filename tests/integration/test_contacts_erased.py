"""A contact handed out completely, and erased without a trace in any table."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.rollup import roll_up
from app.bot import Chat
from app.contacts.erase import erase
from app.contacts.erased_runs import delete_runs, runs_left
from app.contacts.find import Wanted, export, find_contacts
from app.conversation.outbox import Outbox
from app.conversation.services import PlainHost
from app.conversation.turn import Turns
from app.database.tables import metadata
from app.errors import OwnershipLost
from app.worker import run_rows
from tests.integration.scene import Scene, scene

SECRETS = (
    "zanzibar-user",
    "Zoe Zanzibar",
    "zoe@zanzibar.example",
    "0041791234567",
    "zanzibar-text",
    "ID-ZOE",
)
PROFILE = {"userId": SECRETS[0], "name": SECRETS[1], "email": SECRETS[2], "phone": "+0041 79 123 45 67"}


async def keeps(chat: Chat) -> None:
    chat.session["kept"] = chat.message.text
    chat.contact.update(custom={"said": chat.message.text})
    await chat.say(f"{chat.contact['name']}: {chat.message.text}")
    await chat.handover("101", message=f"Please wait, {chat.contact['name']}", summary=chat.message.text)
    await chat.receive(timeout=600)


async def met(engine: AsyncEngine) -> Scene:
    """Zoe wrote, got an answer, met an agent; somebody else wrote too."""
    play = scene(engine, keeps, handover={"queue": "101"})
    for conversation, user, said in (
        ("ID-ZOE", PROFILE, SECRETS[4]),
        ("ID-OTHER", {"userId": "other", "name": "Other", "email": "other@example.com"}, "else"),
    ):
        play.conversation = conversation
        data = {"state": "active", "channel": "WebChat", "msisdn": None, "user": user}
        await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": conversation, "data": data})
        await play.says(said)
        await play.work()
        members = {"memberType": "agent", "change": "joined", "id": "a1"}
        await play.post({"eventType": "MEMBERS_CHANGED", "conversationId": conversation, "data": members})
        await play.says(f"{said} again")
        await play.work()
    return play


async def holding(play: Scene) -> dict[str, set[str]]:
    """Which tables hold anything of Zoe."""
    found: dict[str, set[str]] = {}
    for name in metadata.tables:
        for row in await play.rows(
            f"SELECT CAST(t AS text) || ' ' || CAST(to_jsonb(t) AS text) FROM {name} t"
        ):
            digits = "".join(char for char in row[0] if char.isdigit())
            for secret in SECRETS:
                if (
                    secret in row[0]
                    or secret.encode().hex() in row[0]
                    or (secret.isdigit() and secret in digits)
                ):
                    found.setdefault(name, set()).add(secret)
    return found


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(id="zanzibar-user"),
        Wanted(id="ID-ZOE"),
        Wanted(id="1"),
        Wanted(email="ZOE@zanzibar.example"),
        Wanted(phone="0041 79 1234567"),
    ],
)
async def test_a_contact_is_found_by_id_email_and_phone(engine: AsyncEngine, wanted: Wanted) -> None:
    await met(engine)
    (found,) = await find_contacts(engine, wanted)
    assert (found["identity"], found["conversations"]) == ("user:zanzibar-user", [1])
    assert await find_contacts(engine, Wanted(email=wanted.email or "nobody@example.com", endpoint="x")) == []


async def test_an_export_holds_everything_of_the_contact_and_nothing_of_others(engine: AsyncEngine) -> None:
    play = await met(engine)
    stored = await export(engine, Wanted(id="zanzibar-user"))
    for name in ("conversation", "session", "event", "message", "dialog", "journal", "delivery", "handover"):
        count = await play.value(f"SELECT count(*) FROM {name}")
        assert 0 < len(stored[name]) < count
    shown = str(stored)
    assert all(secret in shown for secret in (*SECRETS[:3], SECRETS[4]))
    assert "other@example.com" not in shown


async def test_no_table_holds_anything_of_an_erased_contact(engine: AsyncEngine) -> None:
    play = await met(engine)
    assert len(await holding(play)) >= 8, "there was something to erase"
    counts: dict[str, Any] = {
        name: await play.value(f"SELECT count(*) FROM {name}") for name in ("event", "session", "handover")
    }
    erased = await erase(engine, Wanted(id="zanzibar-user"))
    assert (len(erased.contacts), erased.conversations) == (1, [1])
    assert await holding(play) == {}
    for name, count in counts.items():
        assert await play.value(f"SELECT count(*) FROM {name}") == count, "what is counted stays"
    assert await play.value("SELECT count(*) FROM message") > 0, "others keep their transcripts"
    assert await play.value("SELECT profile->>'name' FROM contact") == "Other"


async def test_a_worker_that_remembers_an_erased_contact_can_write_nothing(engine: AsyncEngine) -> None:
    async def bot(chat: Chat) -> None:
        while True:
            await chat.say(f"{chat.contact['name']}: {chat.message.text}")
            await chat.receive()

    play = scene(engine, bot)
    play.conversation = "ID-ZOE"
    data = {"state": "active", "channel": "WebChat", "user": PROFILE}
    await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": "ID-ZOE", "data": data})
    state = await play.claim()
    assert state is not None
    turns = Turns(play.services, state, Outbox(play.services, state))
    while await turns.look() is not None:
        await turns.handle(PlainHost())
    assert state.contact["name"] == SECRETS[1], "the worker remembers"
    await play.says("hello")
    await turns.look()
    await erase(engine, Wanted(id="zanzibar-user"))
    with pytest.raises(OwnershipLost):
        await turns.handle(PlainHost())
    assert await holding(play) == {}
    assert await play.value("SELECT count(*) FROM contact") == 0


async def test_no_count_holds_what_an_erased_contact_said(engine: AsyncEngine) -> None:
    def nothing() -> None: ...

    async def bot(chat: Chat) -> None:
        chat.intent("delivery")
        chat.goal(chat.message.text)
        await chat.step(nothing, name=f"find {chat.message.text}")
        await chat.say("Found.")
        await chat.receive()
        chat.intent(chat.message.text)
        await chat.receive()

    play = scene(engine, bot)

    async def update(conversation: str, state: str, user: str) -> None:
        data = {"state": state, "channel": "WebChat", "user": {"userId": user}}
        play.conversation = conversation
        await play.post({"eventType": "CONVERSATION_UPDATE", "conversationId": conversation, "data": data})
        await play.work()

    for conversation, user, says in (
        ("ID-ZOE", SECRETS[0], ["zanzibar-text", "zanzibar-text again"]),
        ("ID-ZOE", SECRETS[0], ["zanzibar-text"]),
        ("ID-OTHER", "other", ["else"]),
    ):
        await update(conversation, "active", user)
        for said in says:
            await play.says(said)
            await play.work()
        await update(conversation, "idle", user)
    await roll_up(engine, now=play.clock())
    counts = "SELECT part FROM rollup_part WHERE measure IN ('intent', 'goal', 'drop_off') ORDER BY 1"
    assert {row[0] for row in await play.rows(counts)} == {
        *("delivery", "else", "zanzibar-text", "zanzibar-text again"),
        *("nothing", "intent zanzibar-text again"),  # where they left: a step counts by its function
    }
    async with engine.begin() as connection:  # the journal may be gone already
        await connection.execute(text("DELETE FROM journal"))
    await erase(engine, Wanted(id=SECRETS[0]))
    assert await holding(play) == {}
    assert [row[0] for row in await play.rows(counts)] == ["delivery", "else", "nothing"]
    await roll_up(engine, now=play.clock())
    assert await holding(play) == {}


_RUN = text(
    """
    INSERT INTO session_run (session_id, conversation_id, number, flow_run_id, name, state, ended_at)
    VALUES (1, 1, :number, :run, 'support · ID-ZOE · 1.1',
        CASE WHEN :ended THEN 'Completed' ELSE 'Running' END,
        CASE WHEN :ended THEN now() END)
    """
)


async def runs_of_zoe(play: Scene, *, ended: int, open: int = 0) -> list[UUID]:
    """Prefect's runs of her conversation, which is erased."""
    runs = [uuid4() for _ in range(ended + open)]
    async with play.engine.begin() as connection:
        for number, run in enumerate(runs, start=1):
            row = {"number": number, "run": run, "ended": number <= ended}
            await connection.execute(_RUN, row)
    erased = await erase(play.engine, Wanted(id="ID-ZOE"))
    assert sorted(erased.runs) == sorted(runs)
    assert await holding(play) == {}
    return runs


async def test_runs_of_an_erased_contact_are_known_until_prefect_has_deleted_them(
    engine: AsyncEngine,
) -> None:
    play = await met(engine)
    runs = await runs_of_zoe(play, ended=3, open=1)
    deleted: list[UUID] = []

    async def delete(run: UUID) -> None:
        if len(deleted) == 2:
            raise ConnectionError
        deleted.append(run)

    with pytest.raises(ConnectionError):
        await delete_runs(engine, delete, within=10)
    assert (deleted, await runs_left(engine, runs)) == (runs[:2], runs[2:])
    deleted.clear()
    assert await delete_runs(engine, delete, within=10) == 1
    assert (deleted, await runs_left(engine, runs)) == (runs[2:3], runs[3:]), "one that is open ends first"

    async def hangs(run: UUID) -> None:
        await asyncio.sleep(60)

    async with engine.begin() as connection:
        await connection.execute(text("UPDATE session_run SET ended_at = now(), state = 'Completed'"))
    with pytest.raises(TimeoutError):
        await delete_runs(engine, hangs, within=0.01)
    assert await runs_left(engine, runs) == runs[3:]


async def test_a_run_that_opened_as_its_contact_was_erased_is_no_trace(engine: AsyncEngine) -> None:
    play = await met(engine)
    await erase(engine, Wanted(id="ID-ZOE"))
    opened: dict[str, Any] = {
        "session": 1,
        "conversation": 1,
        "worker": 1,
        "number": 9,
        "opened_at": play.clock(),
    }
    await run_rows.opened(engine, **opened, flow_run=uuid4(), name="support · ID-ZOE · 1.9")
    assert await holding(play) == {}
    assert await play.value("SELECT name FROM session_run WHERE number = 9") == "erased"


async def test_an_echo_that_comes_after_its_contact_was_erased_leaves_no_text(engine: AsyncEngine) -> None:
    play = await met(engine)
    play.conversation = "ID-ZOE"
    await erase(engine, Wanted(id="zanzibar-user"))
    await play.echo(f"{SECRETS[1]}: zanzibar-text")
    await play.work()
    assert await holding(play) == {"conversation": {"ID-ZOE"}}
    (found,) = await find_contacts(engine, Wanted(id="ID-ZOE"))
    await erase(engine, Wanted(id="ID-ZOE"))
    assert (found["id"], await holding(play)) == (None, {})
