"""Whoever enters says until when, and the names that statements use cannot be shadowed.

Revision ID: 0004
Revises: 0003

A message that arrives after its request was given up (PostgreSQL was frozen, or cut off) is refused instead of run, and
what is left of the time is the limit of its statement.
"""

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

# With `pg_catalog` named first and `pg_temp` last, only what has exactly the same types could stand in the way of
# PostgreSQL's own functions and operators, and that is found later. The path is compared before it is set, because the
# service's direct connections have it already, and setting it costs a quarter of what a read does.
CREATE = """
DO $do$
DECLARE
    path text := 'pg_catalog, ' || quote_ident(current_schema()) || ', pg_temp';
    has_citus boolean := EXISTS (SELECT FROM pg_extension WHERE extname = 'citus');
BEGIN
    EXECUTE format($format$
{function}
$format$, path, CASE WHEN has_citus THEN $user${on_citus}$user$ ELSE $user${elsewhere}$user$ END);
END $do$
"""

# As before it must not be SECURITY DEFINER, and what it sets ends with the transaction. `SET LOCAL` is what Citus
# passes on to the machines that hold the rows; the time and the path concern only the one that was asked. Elsewhere
# functions do the same for less, if they are called in an assignment.
ENTER_ON_CITUS = """SET LOCAL citus.propagate_set_commands TO 'local';
    SET LOCAL ROLE todo_tenant;
    EXECUTE format('SET LOCAL app.user_id = %L', uid);"""
ENTER_ELSEWHERE = (
    """entered := set_config('role', 'todo_tenant', true) || set_config('app.user_id', uid, true);"""
)
ENTER = """
CREATE FUNCTION todo_enter(uid text, not_after timestamptz DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $enter$
DECLARE
    remaining int;
    entered text;
BEGIN
    IF pg_catalog.current_setting('search_path') <> %1$L THEN
        PERFORM pg_catalog.set_config('search_path', %1$L, true);
    END IF;
    remaining := CASE
        WHEN not_after IS NULL THEN 4000
        ELSE least(date_part('epoch', not_after - clock_timestamp()) * 1000::float8, 60000::float8)
    END;
    IF remaining <= 0 THEN
        RAISE SQLSTATE 'TODO2' USING MESSAGE = 'the time of this request is over';
    END IF;
    entered := set_config('statement_timeout', remaining::text, true);
    %2$s
END $enter$
"""

ENTER_PURGER = """
CREATE OR REPLACE FUNCTION todo_enter_purger() RETURNS void LANGUAGE plpgsql AS $enter$
BEGIN
    PERFORM pg_catalog.set_config('search_path', %1$L, true);
    SET LOCAL lock_timeout TO '10s';
    SET LOCAL statement_timeout TO '60s';
    SET LOCAL citus.propagate_set_commands TO 'local';
    SET LOCAL ROLE todo_purger;
END $enter$
"""

# Citus opens connections to its workers as the role that runs a statement.
LOGIN = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
       AND EXISTS (SELECT FROM pg_roles WHERE rolname IN ('todo_tenant', 'todo_purger') AND NOT rolcanlogin) THEN
        ALTER ROLE todo_tenant LOGIN;
        ALTER ROLE todo_purger LOGIN;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE SQLSTATE 'TODO1' USING MESSAGE =
        'Citus logs in to its nodes as todo_tenant and todo_purger: have an administrator run '
        'ALTER ROLE todo_tenant LOGIN and ALTER ROLE todo_purger LOGIN';
END $$
"""

FORMER_ENTER = """
CREATE FUNCTION todo_enter(uid text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL lock_timeout TO '2s';
    SET LOCAL statement_timeout TO '4s';
    SET LOCAL citus.propagate_set_commands TO 'local';
    SET LOCAL ROLE todo_tenant;
    EXECUTE format('SET LOCAL app.user_id = %L', uid);
END $$
"""

FORMER_ENTER_PURGER = """
CREATE OR REPLACE FUNCTION todo_enter_purger() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL lock_timeout TO '10s';
    SET LOCAL statement_timeout TO '60s';
    SET LOCAL citus.propagate_set_commands TO 'local';
    SET LOCAL ROLE todo_purger;
END $$
"""


def upgrade() -> None:
    op.execute("DROP FUNCTION todo_enter(text)")
    for function in (ENTER, ENTER_PURGER):
        op.execute(CREATE.format(function=function, on_citus=ENTER_ON_CITUS, elsewhere=ENTER_ELSEWHERE))
    op.execute(LOGIN)


def downgrade() -> None:
    op.execute("DROP FUNCTION todo_enter(text, timestamptz)")
    op.execute(FORMER_ENTER)
    op.execute(FORMER_ENTER_PURGER)
