"""The migrations build exactly the tables the models describe."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database import schema
from app.database.engine import TOOL, connect, create_engine
from app.database.tables import metadata
from app.errors import SchemaOutdated

#: Everything about the tables that PostgreSQL can say in words.
DESCRIPTION = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, identity_generation
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "storage": """
        SELECT relname, relkind::text, array_to_string(reloptions, ',') FROM pg_class
        WHERE relnamespace = 'public'::regnamespace ORDER BY 1""",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, increment_by, cache_size FROM pg_sequences
        WHERE schemaname = 'public' ORDER BY 1""",
}


async def describe(url: str) -> dict[str, list[str]]:
    """What the database says about its tables, Alembic's own table left out."""
    connection = await connect(url, application="test")
    try:
        found = {name: await connection.fetch(query) for name, query in DESCRIPTION.items()}
    finally:
        await connection.close()
    return {
        name: [line for row in rows if "alembic" not in (line := repr(tuple(row)))]
        for name, rows in found.items()
    }


async def test_migrations_and_models_build_the_same_tables(
    database_url: str, empty_database_url: str
) -> None:
    engine = create_engine(empty_database_url, TOOL, application="test")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()

    migrated, modelled = await describe(database_url), await describe(empty_database_url)
    for name in ("columns", "storage"):  # views have no models
        migrated[name] = [
            line for line in migrated[name] if not line.startswith(("('analytics_", "('happening'"))
        ]

    assert migrated["indexes"] and migrated["constraints"]
    assert migrated == modelled


async def test_alembic_finds_nothing_left_to_migrate(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrations_can_be_taken_back_and_repeated(database_url: str) -> None:
    before = await describe(database_url)
    engine = create_engine(database_url, TOOL, application="test")
    async with engine.begin() as connection:
        await connection.run_sync(lambda c: command.downgrade(schema.alembic_config(c), "base"))
    await engine.dispose()
    assert (await describe(database_url))["columns"] == []

    await schema.upgrade(database_url)
    assert await describe(database_url) == before


async def test_two_migrations_at_once_take_turns(empty_database_url: str) -> None:
    reached = await asyncio.gather(*(schema.upgrade(empty_database_url) for _ in range(3)))
    assert set(reached) == {schema.head()}


async def test_upgrade_works_from_any_folder(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(Path.cwd().iterdir()) == []
    await schema.upgrade(empty_database_url)
    await schema.check(empty_database_url)


async def test_a_database_without_tables_is_outdated(empty_database_url: str) -> None:
    assert await schema.current(empty_database_url) is None
    with pytest.raises(SchemaOutdated, match="parley db upgrade"):
        await schema.check(empty_database_url)


async def test_tables_newer_than_the_code_are_refused(engine: AsyncEngine, database_url: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutdated, match="newer than this code"):
        await schema.check(database_url)
    with pytest.raises(SchemaOutdated, match="newer than this code"):
        await schema.upgrade(database_url)
