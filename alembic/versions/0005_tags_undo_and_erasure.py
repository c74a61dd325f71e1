"""A task has tags and can be brought back after its deletion, and a user can be erased.

Revision ID: 0005
Revises: 0004

No row is rewritten: the new columns have a constant default or none, and the constraints are NOT VALID, which binds
every row from now on, while those that are there hold the default, which keeps them anyway. The new indexes are built
while nobody writes, about a second for each million tasks. Citus takes each change only as a statement of its own.
"""

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

# An object made of the tags has each of them once, as a key and as a value, and every function here is immutable.
_TAGS = "jsonb_object(tags, tags)"
_NOT_BLANK = (
    r'"^[\\t-\\r\\u001c- \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]*$"'
)
CHANGES = (
    "ALTER TABLE tasks ADD COLUMN tags text[] NOT NULL DEFAULT '{}'",
    "ALTER TABLE tasks ADD COLUMN deleted_at timestamptz",
    "ALTER TABLE tasks ADD CONSTRAINT tasks_tags_items_0_20 CHECK (cardinality(tags) BETWEEN 0 AND 20) NOT VALID",
    "ALTER TABLE tasks ADD CONSTRAINT tasks_tags_unique CHECK (jsonb_array_length("
    f"jsonb_path_query_array({_TAGS}, '$.*')) = cardinality(tags)) NOT VALID",
    "ALTER TABLE tasks ADD CONSTRAINT tasks_tags_item_length_1_50 CHECK (NOT jsonb_path_exists("
    f"""{_TAGS}, '$.* ? (!(@ like_regex "^.{{1,50}}$" flag "s"))')) NOT VALID""",
    "ALTER TABLE tasks ADD CONSTRAINT tasks_tags_item_not_bea31be9 CHECK (NOT jsonb_path_exists("
    f"{_TAGS}, '$.* ? (@ like_regex {_NOT_BLANK})')) NOT VALID",
    "DROP INDEX tasks_newest_first",
    "CREATE INDEX tasks_newest_first ON tasks (user_id, created_at DESC, id DESC) WHERE deleted_at IS NULL",
    "CREATE INDEX tasks_deleted ON tasks (user_id, deleted_at) WHERE deleted_at IS NOT NULL",
    # Without this a purger that names a user would reach that user's other tasks as well.
    "ALTER POLICY tasks_own ON tasks TO todo_tenant",
    "CREATE POLICY tasks_expired ON tasks TO todo_purger "
    "USING (deleted_at <= now() - interval '30 days') WITH CHECK (false)",
    "GRANT SELECT, DELETE ON tasks TO todo_purger",
    "GRANT DELETE ON users TO todo_tenant",
    # A request only hides a task. With a user's row the rows that refer to it go in the name of their owner.
    "REVOKE DELETE ON tasks FROM todo_tenant",
)
CHANGES_BACK = (
    "GRANT DELETE ON tasks TO todo_tenant",
    "REVOKE DELETE ON users FROM todo_tenant",
    "REVOKE SELECT, DELETE ON tasks FROM todo_purger",
    "DROP POLICY tasks_expired ON tasks",
    "ALTER POLICY tasks_own ON tasks TO PUBLIC",
    "DROP INDEX tasks_deleted",
    "DROP INDEX tasks_newest_first",
    "CREATE INDEX tasks_newest_first ON tasks (user_id, created_at DESC, id DESC)",
    "ALTER TABLE tasks DROP COLUMN tags",
)
# A deleted task must not come back because an older version does not know that it is deleted.
DROP_DELETED = (
    "ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY",
    "DELETE FROM tasks WHERE deleted_at IS NOT NULL",
    "ALTER TABLE tasks FORCE ROW LEVEL SECURITY",
    "ALTER TABLE tasks DROP COLUMN deleted_at",
)


def upgrade() -> None:
    for statement in CHANGES:
        op.execute(statement)


def downgrade() -> None:
    for statement in (*CHANGES_BACK, *DROP_DELETED):
        op.execute(statement)
