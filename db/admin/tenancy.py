"""What a service's first migration makes beside its tables: the role of a request, the way into it, and the policies.

Each function gives messages of one command each, as Citus sends them on to its nodes. Migrations that have run call
them, so what one of them makes never changes; something new comes under a name of its own.
"""

from collections.abc import Iterator

from db.driver.names import Names

_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{tenant}') THEN
        CREATE ROLE {tenant} NOLOGIN NOINHERIT NOBYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
    END IF;
    -- Since PostgreSQL 16 whoever creates a role may grant it, but not enter it.
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE 'GRANT {tenant} TO CURRENT_USER WITH SET TRUE, INHERIT FALSE';
    ELSE
        GRANT {tenant} TO CURRENT_USER;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {tenant}', current_schema());
END $$
"""
# Not SECURITY DEFINER, since such a function may not change the role; all that it sets ends with the transaction.
_ENTER = """
DO $do$
DECLARE
    path text := 'pg_catalog, ' || quote_ident(current_schema()) || ', pg_temp';
BEGIN
    EXECUTE format($format$
CREATE FUNCTION {enter}(uid text, not_after timestamptz DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $enter$
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
    entered := set_config('statement_timeout', remaining::text, true) || set_config('role', '{tenant}', true)
        || set_config('{setting}', uid, true);
END $enter$
$format$, path);
END $do$
"""


def tenant_role(names: Names) -> Iterator[str]:
    """The role of every request, which row level security binds, and the function that enters it for one user."""
    facts = {"tenant": names.tenant, "enter": names.enter, "setting": names.setting}
    yield _ROLE.format(**facts)
    yield _ENTER.format(**facts)


def row_level_security(names: Names, owner_columns: dict[str, str]) -> Iterator[str]:
    """FORCE ROW LEVEL SECURITY on each owned table, with a policy that shows its rows to their owner alone.

    Args:
        owner_columns: by a table's name, the column that names whose a row is.
    """
    for table, column in owner_columns.items():
        own = f"({column} = pg_catalog.current_setting('{names.setting}', true))"
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        yield f"CREATE POLICY {table}_own ON {table} USING {own} WITH CHECK {own}"
