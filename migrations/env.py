"""How Alembic reaches the database: on the connection and transaction `app.database.schema` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from app.database.tables import metadata

connection: Connection | None = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("Run `parley db upgrade`: it gives the connection")

context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
