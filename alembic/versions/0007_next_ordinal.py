"""Whether a user may keep one more is asked in a function, which Citus runs where the numbers of tasks are given.

Revision ID: 0007
Revises: 0006

An insertion that itself reads what the user has is sent by Citus to the machine that holds it, and takes the task's
number there, from a sequence that is not the coordinator's. No row is read or written.
"""

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

# To count takes longer than to insert, so each task has the number of the one before it, plus one, and only each 256th
# creation counts, and all those that are near the end or follow a task whose number is not known. Deletions in between
# make the number too large, creations at the same instant and tasks that are brought back too small, and the next count
# puts it right. Nothing is locked, so near the end requests at the same instant may go beyond by as many as they are.
# What has run out counts no more, whether or not it was purged.
# What is late is refused here, too, so that a session of the service's own can enter by settings alone.
NEXT_ORDINAL = """
CREATE FUNCTION todo_next_ordinal(uid text, not_after timestamptz, most_tasks int, most_keys int DEFAULT NULL)
RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE
    ordinal int;
BEGIN
    IF not_after <= clock_timestamp() THEN
        RAISE SQLSTATE 'TODO2' USING MESSAGE = 'the time of this request is over';
    END IF;
    -- Without a key its own IF spares the counting, which one condition for both would not.
    IF most_keys IS NOT NULL THEN
        IF most_keys <= (SELECT count(*) FROM (SELECT FROM idempotency_keys WHERE user_id = uid
                                                  AND created_at > now() - interval '24 hours'
                                                LIMIT most_keys) AS live) THEN
            RETURN NULL;
        END IF;
    END IF;
    SELECT tasks.ordinal INTO ordinal FROM tasks WHERE user_id = uid ORDER BY id DESC LIMIT 1;
    IF NOT FOUND THEN
        ordinal := 0;
    ELSIF ordinal IS NULL OR ordinal % 256 = 0 OR ordinal > most_tasks - 2048 THEN
        ordinal := greatest(
            (SELECT count(*) FROM (SELECT FROM tasks WHERE user_id = uid AND deleted_at IS NULL
                                    LIMIT most_tasks) AS live),
            (SELECT count(*) FROM (SELECT FROM tasks WHERE user_id = uid
                                      AND deleted_at > now() - interval '30 days'
                                    LIMIT most_tasks) AS deleted));
    END IF;
    RETURN CASE WHEN ordinal < most_tasks THEN ordinal + 1 END;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE idempotency_keys ADD COLUMN ordinal integer")
    op.execute(NEXT_ORDINAL)


def downgrade() -> None:
    op.execute("DROP FUNCTION todo_next_ordinal(text, timestamptz, int, int)")
    op.execute("ALTER TABLE idempotency_keys DROP COLUMN ordinal")
