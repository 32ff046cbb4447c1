"""The SQL in docs/operations.md can be run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"^```sql\n(.*?)^```", PAGE, re.S | re.M))
INLINE = [span.replace("…", "0") for span in re.findall(r"`((?:UPDATE|SELECT) [^`]+)`", PAGE)]
STATEMENTS = [*(each.strip() for each in BLOCKS.split(";") if each.strip()), *INLINE]


def test_there_are_statements() -> None:
    assert len(STATEMENTS) >= 6


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_a_documented_statement_runs(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))
