"""A narrow way to drop expired Idempotency-Keys of all users: a role that sees and deletes nothing else.

Revision ID: 0003
Revises: 0002

Row level security binds the keys' table to one user at a time, its owner included. Whoever enters the role
`todo_purger` reaches the keys of every user, but only those that have run out, whatever the statement says.
"""

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

# As the role todo_tenant in the first schema, where the reasons are.
ROLE = """
DO $$
DECLARE
    newer boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'todo_purger') THEN
        BEGIN
            CREATE ROLE todo_purger
                NOLOGIN NOINHERIT NOBYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    IF (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'todo_purger') THEN
        RAISE SQLSTATE 'TODO1' USING MESSAGE =
            'The role todo_purger bypasses row level security: have an administrator run '
            'ALTER ROLE todo_purger NOSUPERUSER NOBYPASSRLS';
    END IF;
    IF NOT pg_catalog.pg_has_role(current_user, 'todo_purger', CASE WHEN newer THEN 'SET' ELSE 'MEMBER' END) THEN
        IF newer THEN
            EXECUTE 'GRANT todo_purger TO CURRENT_USER WITH SET TRUE, INHERIT FALSE';
        ELSE
            GRANT todo_purger TO CURRENT_USER;
        END IF;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE SQLSTATE 'TODO1' USING MESSAGE = pg_catalog.format(
        'The login may not make the role todo_purger or enter it: have an administrator run '
        'CREATE ROLE todo_purger (if it is missing) and GRANT todo_purger TO %I', current_user);
END $$
"""

# Without the first statement a purger that names a user would reach that user's other keys as well.
POLICIES = (
    "ALTER POLICY idempotency_keys_own ON idempotency_keys TO todo_tenant",
    "CREATE POLICY idempotency_keys_expired ON idempotency_keys TO todo_purger "
    "USING (created_at <= pg_catalog.now() - interval '24 hours') WITH CHECK (false)",
)

GRANTS = (
    "DO $$ BEGIN EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO todo_purger', current_schema); END $$",
    "GRANT SELECT, DELETE ON idempotency_keys TO todo_purger",
)

# As todo_enter: not SECURITY DEFINER, and all that it sets ends with the transaction. A batch of deletions may wait
# longer than a person who sent a request.
ENTER = """
CREATE FUNCTION todo_enter_purger() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL lock_timeout TO '10s';
    SET LOCAL statement_timeout TO '60s';
    SET LOCAL citus.propagate_set_commands TO 'local';
    SET LOCAL ROLE todo_purger;
END $$
"""

# The role goes only if no other database of the cluster needs it and this login may drop it.
DROP_ROLE = """
DO $$
BEGIN
    EXECUTE pg_catalog.format('REVOKE USAGE ON SCHEMA %I FROM todo_purger', current_schema);
    BEGIN
        DROP ROLE todo_purger;
    EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
        NULL;
    END;
END $$
"""


def upgrade() -> None:
    for statement in (ROLE, *POLICIES, *GRANTS, ENTER):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION todo_enter_purger()")
    op.execute("DROP POLICY idempotency_keys_expired ON idempotency_keys")
    op.execute("ALTER POLICY idempotency_keys_own ON idempotency_keys TO PUBLIC")
    op.execute("REVOKE SELECT, DELETE ON idempotency_keys FROM todo_purger")
    op.execute(DROP_ROLE)
