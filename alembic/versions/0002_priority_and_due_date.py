"""A task has a priority and may have a due date.

Revision ID: 0002
Revises: 0001

No row is read or written, so the lock on the table is short however many there are: PostgreSQL keeps a constant
default beside the table, and the constraints are NOT VALID, which binds every row from now on, while those that are
there hold the default and NULL, which keep them anyway. Citus takes each change only as a statement of its own.
"""

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

COLUMNS = (
    "ALTER TABLE tasks ADD COLUMN priority text NOT NULL DEFAULT 'medium'",
    "ALTER TABLE tasks ADD COLUMN due_date date",
    "ALTER TABLE tasks ADD CONSTRAINT tasks_priority_low_medium_high "
    "CHECK (priority IN ('low', 'medium', 'high')) NOT VALID",
    "ALTER TABLE tasks ADD CONSTRAINT tasks_due_date_years_1_9999 "
    "CHECK (due_date BETWEEN '0001-01-01' AND '9999-12-31') NOT VALID",
)


def upgrade() -> None:
    for statement in COLUMNS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE tasks DROP COLUMN due_date")
    op.execute("ALTER TABLE tasks DROP COLUMN priority")
