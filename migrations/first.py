"""Write `versions/0001_first.py` anew from the tables: `python -m migrations.first`.

Only until the first release. After it a change of the tables is a migration of its own.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from alembic.operations import ops
from sqlalchemy import Connection

from app.database.embedded import embedded_postgres
from app.database.engine import TOOL, create_engine
from app.database.schema import alembic_config

TARGET = Path(__file__).parent / "versions" / "0001_first.py"


def _with_sequences(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Autogenerate knows no sequences."""
    script = directives[0]
    script.upgrade_ops.ops.insert(0, ops.ExecuteSQLOp("CREATE SEQUENCE delivery_order AS bigint"))
    script.downgrade_ops.ops.append(ops.ExecuteSQLOp("DROP SEQUENCE delivery_order"))


def _write(connection: Connection, folder: Path) -> None:
    config = alembic_config(connection)
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "newline")
    command.revision(
        config,
        message="first",
        autogenerate=True,
        rev_id="0001",
        process_revision_directives=_with_sequences,
    )


async def _generate(url: str, folder: Path) -> None:
    engine = create_engine(url, TOOL, application="parley-first-migration")
    async with engine.connect() as connection:
        await connection.run_sync(_write, folder)
    await engine.dispose()


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as home, embedded_postgres(Path(home)) as url:
        versions = Path(home) / "versions"
        versions.mkdir()
        asyncio.run(_generate(url, versions))
        text = (versions / TARGET.name).read_text()
    text = re.sub(r"\n    # ### .* ###", "", text)
    text = text.replace('"""first"""', '"""The first tables."""', 1)
    fresh = TARGET.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(TARGET)


if __name__ == "__main__":
    main()
