"""What retention leaves: a secret is planted in every text there is, and all of it gets old."""

from __future__ import annotations

from sqlalchemy import DateTime, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.tables import metadata
from app.maintenance import sweep
from tests.integration.scene import Scene, endpoint
from tests.integration.test_contacts_commands import PLANTED, planted_scene

#: Words of Parley's own, 8x8's ids and digests; without the contact nobody is told by them.
STAYS = {
    "conversation": {"external_id", "known_by", "assignment"},
    "delivery": {"reason", "confirmed_by"},
    "delivery_attempt": {"outcome"},
    "dialog": {"error"},
    "interaction": {"interaction_id"},
    "session_run": {"name"},
}
#: What is over and settled, so that nothing needs it any more.
OVER = (
    "UPDATE conversation SET owner = NULL, control = 'bot'",
    "UPDATE session SET ended_at = now(), end_reason = 'idle'",
    "UPDATE dialog SET ended_at = now(), status = 'closed'",
    "UPDATE handover SET ended_at = now(), status = 'completed'",
    "UPDATE delivery SET ended_at = now(), status = 'dead', reason = 'refused with 400: PLANTED'",
    "UPDATE handover SET settings = jsonb_build_object('packet', settings)",
    "UPDATE incident SET detail = jsonb_build_object('reason', detail)",
    "UPDATE event SET processed_at = now(), outcome = 'noted'",
    "UPDATE timer SET ended_at = now(), outcome = 'fired'",
)


async def aged(engine: AsyncEngine) -> Scene:
    """Everything is over, and was so 400 days ago."""
    play = await planted_scene(engine)
    async with engine.begin() as connection:
        for statement in OVER:
            await connection.execute(text(statement.replace("PLANTED", PLANTED)))
        for table in metadata.sorted_tables:
            if "endpoint" in table.c and not table.c.endpoint.primary_key:
                await connection.execute(text(f"UPDATE {table.name} SET endpoint = 'support'"))
            for column in table.c:
                if isinstance(column.type, DateTime):
                    old = f"UPDATE {table.name} SET {column.name} = {column.name} - interval '400 days'"
                    await connection.execute(text(old))
    return play


async def columns(play: Scene) -> dict[str, set[str]]:
    """Columns of each table that hold a planted secret."""
    found: dict[str, set[str]] = {}
    wanted = f"%{PLANTED}%", f"%{PLANTED.encode().hex()}%"
    for name in metadata.tables:
        rows = await play.rows(
            f"SELECT DISTINCT c.key FROM {name} t, jsonb_each_text(to_jsonb(t)) c "
            "WHERE c.value LIKE :plain OR c.value LIKE :hex",
            plain=wanted[0],
            hex=wanted[1],
        )
        if rows:
            found[name] = {row[0] for row in rows}
    return found


async def counts(play: Scene, *tables: str) -> list[int]:
    """Rows of each."""
    return [await play.value(f"SELECT count(*) FROM {name}") for name in tables]


async def test_no_text_is_left_once_everything_is_too_old(engine: AsyncEngine) -> None:
    play = await aged(engine)
    assert len(await columns(play)) > len(STAYS)
    kept = await counts(play, "conversation", "session", "handover", "event", "delivery")
    retention = {"events": 1, "transcripts": 1, "analytics": 1}
    await sweep(engine, retain_days=90, endpoints=[endpoint(retention=retention)])
    left = await columns(play)
    assert {name: found - STAYS.get(name, set()) for name, found in left.items()} == {
        name: set() for name in left
    }
    quoted = f"SELECT count(*) FROM {{}} WHERE reason LIKE '%: {PLANTED}%'"
    assert [await play.value(quoted.format(name)) for name in ("delivery", "handover")] == [0, 0]
    gone = ("dialog", "mark", "incident", "rollup_hour", "rollup_part", "rollup_latency")
    assert await counts(play, *gone) == [0] * len(gone)
    assert await counts(play, "conversation", "session", "handover", "event", "delivery") == kept
    again = await sweep(engine, retain_days=90, endpoints=[endpoint(retention=retention)])
    assert not any(getattr(again, name) for name in ("sessions", "handovers", "deliveries", "dialogs"))


async def test_what_is_counted_outlives_texts_for_as_long_as_analytics_say(engine: AsyncEngine) -> None:
    play = await aged(engine)
    counted = ("dialog", "mark", "incident", "rollup_hour", "rollup_part", "analytics_sessions")
    kept = await counts(play, *counted)
    bots = [row[0] for row in await play.rows("SELECT bot FROM analytics_sessions ORDER BY 1")]
    assert 0 not in kept and None not in bots
    for analytics in (0, 500):
        settings = endpoint(retention={"events": 1, "analytics": analytics})
        await sweep(engine, retain_days=90, endpoints=[settings])
        assert await counts(play, *counted) == kept
    assert await counts(play, "journal") == [0]
    assert [row[0] for row in await play.rows("SELECT bot FROM analytics_sessions ORDER BY 1")] == bots
    texts = {name: found - STAYS.get(name, set()) for name, found in (await columns(play)).items()}
    assert {name for name, found in texts.items() if found} <= {"contact", "message", "mark", "rollup_part"}


async def test_of_a_session_that_is_open_nothing_is_cleared(engine: AsyncEngine) -> None:
    play = await aged(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE session SET ended_at = NULL, end_reason = NULL"))
        await connection.execute(text("UPDATE dialog SET ended_at = NULL, status = 'waiting'"))
        await connection.execute(text("UPDATE handover SET ended_at = NULL, status = 'active'"))
    before = await columns(play)
    await sweep(engine, retain_days=1, endpoints=[endpoint(retention={"events": 1, "transcripts": 1})])
    after = await columns(play)
    for name in ("session", "dialog", "journal", "handover"):
        assert after[name] == before[name], name
