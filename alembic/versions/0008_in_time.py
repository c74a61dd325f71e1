"""A change of a task refuses to be late by itself, so that it needs no more than a setting to enter.

Revision ID: 0008
Revises: 0007

The tenant's role may run what its statements call, also where nobody else may run functions. No row is read or written.
"""

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

# Not VOLATILE, so that PostgreSQL asks it before it looks for rows, and Citus where the statement was sent. It counts
# from when the message came, since it is asked again once a row that another change held is free.
IN_TIME = """
CREATE FUNCTION todo_in_time(not_after timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF not_after <= statement_timestamp() THEN
        RAISE SQLSTATE 'TODO2' USING MESSAGE = 'the time of this request is over';
    END IF;
    RETURN true;
END $$
"""
CALLED = ("todo_in_time(timestamptz)", "todo_next_ordinal(text, timestamptz, int, int)")


def upgrade() -> None:
    op.execute(IN_TIME)
    for function in CALLED:
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO todo_tenant")


def downgrade() -> None:
    op.execute(f"REVOKE EXECUTE ON FUNCTION {CALLED[1]} FROM todo_tenant")
    op.execute("DROP FUNCTION todo_in_time(timestamptz)")
