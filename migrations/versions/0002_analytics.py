"""The views analysts use, with their comments."""

from __future__ import annotations

from alembic import op

from migrations.analytics_v1 import removal, statements

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in statements():
        op.get_bind().exec_driver_sql(statement)
    # Each view looks here for each row. Nothing analyses a table that stays empty: it is taken for one of a
    # thousand rows, and a whole table is read where some rows by their index would do.
    op.execute('ANALYZE uncounted')


def downgrade() -> None:
    for statement in removal():
        op.get_bind().exec_driver_sql(statement)
