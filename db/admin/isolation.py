"""The third wall as the database itself describes it: whether row level security holds for the role of a request."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from sqlalchemy import MetaData

from db.driver.database import Database
from db.driver.messages import Message
from db.driver.names import Names
from db.driver.ownership import OwnershipError, owners
from db.driver.pool import Pool
from openapi.bridge.failures import Failure

# As a request of a user who cannot exist, since no `sub` may hold a slash. A policy counts if it is permissive, so
# that it can only add rows, and for everybody or for a role whose rights the tenant's role has. Quotation marks say
# nothing: quote_all_identifiers puts them everywhere.
_AS_TENANT = """
SELECT {enter}('/nobody'::text, NULL::timestamptz);
WITH expected AS (SELECT * FROM unnest(%(tables)s, %(conditions)s) AS expected (name, condition)),
     found AS (SELECT * FROM expected JOIN pg_class ON pg_class.oid = to_regclass(name))
SELECT current_setting('server_version') AS version,
       extract(epoch FROM clock_timestamp())::float AS time,
       current_user = '{tenant}' AND current_setting('{setting}', true) = '/nobody' AS enters,
       (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS bypasses,
       current_setting('row_security')::bool AS row_security,
       current_setting('transaction_read_only')::bool AS read_only,
       (SELECT string_agg(name, ', ' ORDER BY name) FROM found
         WHERE pg_has_role(current_user, relowner, 'USAGE')) AS owned,
       (SELECT string_agg(name, ', ' ORDER BY name) FROM expected LEFT JOIN found USING (name)
         WHERE (relrowsecurity AND relforcerowsecurity) IS NOT TRUE) AS open_tables,
       (SELECT string_agg(polname || ' on ' || name, ', ' ORDER BY name, polname)
          FROM found JOIN pg_policy ON polrelid = found.oid
         WHERE polpermissive
           AND condition <> ANY (ARRAY[replace(pg_get_expr(polqual, polrelid), '"', ''),
                                       replace(pg_get_expr(polwithcheck, polrelid), '"', '')])
           AND EXISTS (SELECT FROM unnest(polroles) AS role
                        WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE'))) AS wider_policies
"""
_READ = "SELECT {enter}('/nobody'::text, NULL::timestamptz); SELECT 1 AS row FROM {table} LIMIT 1"
# Every name is pinned, since whoever may create there could have this very statement run a function of theirs. Those
# who own the schema or a table in it, or log in as we do, could do worse anyway.
_OPEN_SCHEMAS = """
SELECT pg_catalog.string_agg(DISTINCT nspname::pg_catalog.text, ', ') AS open_schemas
  FROM pg_catalog.pg_namespace AS schema,
       pg_catalog.aclexplode(coalesce(nspacl, pg_catalog.acldefault('n', nspowner))) AS granted
 WHERE nspname OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(false))
   AND privilege_type OPERATOR(pg_catalog.=) 'CREATE'
   AND grantee OPERATOR(pg_catalog.<>) nspowner
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS role WHERE role.oid OPERATOR(pg_catalog.=) grantee
                      AND (rolsuper OR rolname OPERATOR(pg_catalog.=) SESSION_USER))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) schema.oid
                      AND relowner OPERATOR(pg_catalog.=) grantee)
"""


class IsolationError(Exception):
    """Requests are not kept apart by the database; the message is one line with what would help."""


class Isolation(NamedTuple):
    """What the database says of itself.

    Args:
        time: in epoch seconds by its clock.
        faults: what is wrong and what to do, by what it concerns: "role", "row level security", "search path", "rows".
    """

    version: str
    time: float
    faults: Mapping[str, str]


async def _ask(url: str, metadata: MetaData, names: Names) -> dict[str, Any]:
    columns = {table.name: owner.name for table, owner in owners(metadata).items()}
    conditions = [
        f"({column} = current_setting('{names.setting}'::text, true))" for column in columns.values()
    ]
    parameters = {"tables": list(columns), "conditions": conditions}
    question = _AS_TENANT.format(enter=names.enter, tenant=names.tenant, setting=names.setting)
    with closing(Database(Pool(url, size=1, queue=0), names)) as database:
        (schemas,) = await database.run(Message(_OPEN_SCHEMAS), {})
        (found,) = await database.run(Message(question), parameters)
        return {**schemas, **found, "unread": await _unread(database, list(metadata.tables))}


async def _unread(database: Database, tables: list[str]) -> str | None:
    """Why the role of a request cannot read a table; on Citus each machine is asked for its part."""
    try:
        for table in tables:
            read = _READ.format(enter=database.names.enter, table=table)
            await database.run(Message(read), {})
    except Failure as failure:
        return f"{table} cannot be read: {failure.reason}"
    return None


def isolation_of(url: str, metadata: MetaData, names: Names) -> Isolation:
    """Asks the database at `url` in the role of a request.

    Args:
        metadata: the tables, each of which says whose its rows are (`db.driver.ownership`).
        names: what the service calls its roles and functions.

    Raises:
        IsolationError: if no request can enter that role, or a table does not say whose its rows are.
    """
    role = names.tenant
    try:
        found = asyncio.run(_ask(url, metadata, names))
    except OwnershipError as error:
        raise IsolationError(str(error)) from error
    except Failure as failure:
        raise IsolationError(
            f"no request can enter the role {role} ({failure.reason}): run the command `migrate`, or have an "
            f"administrator GRANT {role} to the login of DATABASE_URL"
        ) from failure
    faults = {}
    if not found["enters"]:
        remedy = f"have the function {names.enter} restored as the migrations made it"
        faults["role"] = f"requests do not run as {role}: {remedy}"
    elif found["bypasses"]:
        remedy = f"have an administrator run ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"
        faults["role"] = f"{role} bypasses row level security: {remedy}"
    elif found["owned"]:
        remedy = "have an administrator run ALTER TABLE ... OWNER TO the login that migrates"
        faults["role"] = (
            f"{role} may switch row level security off, as the owner of {found['owned']}: {remedy}"
        )
    if found["open_tables"]:
        remedy = "have its owner run ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        faults["row level security"] = f"not in force on {found['open_tables']}: {remedy}"
    elif not found["row_security"]:
        remedy = (
            "have an administrator run ALTER ROLE ... RESET row_security, and ALTER DATABASE ... the same"
        )
        faults["row level security"] = (
            f"refused in the sessions of this login, whose row_security is off: {remedy}"
        )
    elif found["wider_policies"] and not faults:
        # For a role that is not the tenant's, or has every right, policies of other roles count too.
        remedy = "have its owner run DROP POLICY"
        faults["row level security"] = f"widened by the policy {found['wider_policies']}: {remedy}"
    elif found["unread"]:
        faults["rows"] = (
            f"{found['unread']}: have a migration grant {role} the right to SELECT; on Citus each machine must run and "
            f"let {role} log in from the others (docs/deploy/citus.md)"
        )
    elif found["read_only"]:
        faults["rows"] = (
            "requests can read them and change none, since the database is read-only: use the address of the primary "
            "server, or have an administrator run ALTER ROLE ... RESET default_transaction_read_only"
        )
    if found["open_schemas"]:
        faults["search path"] = (
            f"others may create functions in {found['open_schemas']}, which requests would run: have its owner run "
            "REVOKE CREATE ON SCHEMA ... FROM PUBLIC, and from every role that must not read all rows"
        )
    return Isolation(found["version"], found["time"], faults)


def require(url: str, metadata: MetaData, names: Names) -> None:
    """Returns if row level security holds for requests and nobody can get around it; the arguments are those of
    `isolation_of`.

    Raises:
        IsolationError: if it does not.
    """
    faults = isolation_of(url, metadata, names).faults
    # Rows that cannot be read are no reason, since a machine of Citus may come back.
    for subject in ("role", "row level security", "search path"):
        if subject in faults:
            prefix = f"{subject} is " if subject == "row level security" else ""
            raise IsolationError(f"{prefix}{faults[subject]}")
