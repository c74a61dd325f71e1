"""A task remembers how many its user had when it was made, so that few creations have to count them.

Revision ID: 0006
Revises: 0005

No row is read or written: where the number is not known, the next creation counts.
"""

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE tasks ADD COLUMN ordinal integer")


def downgrade() -> None:
    op.execute("ALTER TABLE tasks DROP COLUMN ordinal")
