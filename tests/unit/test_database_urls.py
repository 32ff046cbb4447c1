"""One URL, two drivers' words for it."""

from __future__ import annotations

import pytest

from app.database.engine import async_url, dsn


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_name_postgresql_is_understood(scheme: str) -> None:
    assert str(async_url(f"{scheme}://me@db:5433/parley")) == "postgresql+asyncpg://me@db:5433/parley"


def test_sslmode_reaches_both_ways_to_connect() -> None:
    url = "postgresql://me:secret@db/parley?sslmode=verify-full"
    assert async_url(url).query == {"ssl": "verify-full"}
    assert dsn(url) == {
        "host": "db",
        "user": "me",
        "password": "secret",
        "database": "parley",
        "ssl": "verify-full",
    }


def test_a_socket_folder_is_a_host() -> None:
    assert dsn("postgresql://postgres@/parley?host=/run/parley")["host"] == "/run/parley"
