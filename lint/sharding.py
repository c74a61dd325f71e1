"""What Citus forbids, as rules that `make lint` checks, so that the same migrations and statements can be sharded by
user at any time (docs/scaling.md).

Citus itself is not needed: the migrations run on a PostgreSQL that has an extension of its name, and so take their way
for Citus, and a stand-in for `create_distributed_table` that writes down what is distributed by which column.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from sqlalchemy import Delete, Insert, Update, make_url
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.visitors import iterate

from db.admin.purge import DROP_EXPIRED
from db.driver.messages import DIALECT
from db.migrations import migrations
from lint.scoping import ask

DATABASE = "sharded"
_STAND_IN = """
SET allow_system_table_mods TO on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
VALUES (99999, 'citus', 10, 'pg_catalog'::regnamespace, false, 'a stand-in');
CREATE SCHEMA stand_in;
CREATE TABLE stand_in.distributed (relation oid, attribute smallint);
CREATE FUNCTION public.create_distributed_table(relation regclass, owner text, colocate_with text DEFAULT 'default')
RETURNS void LANGUAGE sql AS $$
    INSERT INTO stand_in.distributed
    SELECT attrelid, attnum FROM pg_attribute WHERE attrelid = relation AND attname = owner
$$
"""
# Alembic's own table is read and written by the coordinator alone.
_FAULTS = """
WITH tables AS (
    SELECT pg_class.oid, relname, attribute FROM pg_class LEFT JOIN stand_in.distributed ON relation = pg_class.oid
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'alembic_version')
SELECT format('the table %%s is not distributed by its owner', relname) AS fault FROM tables WHERE attribute IS NULL
UNION ALL
SELECT format('the unique key %%s does not hold the owner', indexrelid::regclass)
  FROM pg_index JOIN tables ON indrelid = oid
 WHERE (indisunique OR indisexclusion) AND attribute <> ALL ((indkey::int2[])[0:indnkeyatts - 1])
UNION ALL
SELECT format('the foreign key %%s does not hold the owner', conname)
  FROM pg_constraint JOIN tables ON conrelid = tables.oid WHERE contype = 'f' AND attribute <> ALL (conkey)
UNION ALL
SELECT format('%%s has the trigger %%s', relname, tgname) FROM pg_trigger JOIN tables ON tgrelid = tables.oid
 WHERE NOT tgisinternal
UNION ALL
SELECT format('the policy %%s on %%s has a subselect', polname, relname)
  FROM pg_policy JOIN tables ON polrelid = tables.oid
 WHERE concat(polqual, polwithcheck) LIKE '%%{SUBLINK %%'
ORDER BY 1
"""
_VOLATILE = "SELECT DISTINCT proname AS name FROM pg_proc WHERE provolatile = 'v'"
_CALL = re.compile(r"(\w+)\(")


def create_sharded(url: str) -> str:
    """The URL of a new database, beside that of `url`, on which the migrations have taken their way for Citus.

    Args:
        url: a superuser's, on a server of its own.

    Raises:
        MigrationError: if the migrations cannot be run there.
    """
    _rows(url, f"CREATE DATABASE {DATABASE}")
    sharded = make_url(url).set(database=DATABASE).render_as_string(hide_password=False)
    _rows(sharded, _STAND_IN)
    migrations.upgrade(sharded)
    return sharded


def schema_faults(sharded: str) -> list[str]:
    """A sentence for each thing in a database of `create_sharded` that Citus would refuse."""
    return [row["fault"] for row in _rows(sharded, _FAULTS)]


def volatile_functions(url: str) -> frozenset[str]:
    """The names of the functions that may answer otherwise each time, by the database's own catalogue."""
    return frozenset(row["name"] for row in _rows(url, _VOLATILE))


def volatile_calls(statement: ClauseElement, volatile: frozenset[str]) -> list[str]:
    """The volatile functions that a statement calls where it changes or deletes rows.

    Each copy of a shard would come to another value, so Citus refuses them there; in an insertion it calls them first.
    """
    called = {name for text in _changes(statement) for name in _CALL.findall(text)}
    return sorted(called & volatile)


def _changes(statement: ClauseElement) -> Iterator[str]:
    for part in iterate(statement):
        if isinstance(part, Update | Delete):
            yield str(part.compile(dialect=DIALECT))
        elif isinstance(part, Insert) and part._post_values_clause is not None:
            yield str(part.compile(dialect=DIALECT)).rpartition(" ON CONFLICT ")[2]


def faults(url: str, made: Iterable[tuple[str, ClauseElement]]) -> Iterator[str]:
    """Every sentence about what Citus would refuse in the migrations, in statements and in the purge.

    Args:
        url: as for `create_sharded`.
        made: the statements, each with what it is called.
    """
    sharded = create_sharded(url)
    yield from (f"Citus: {fault}" for fault in schema_faults(sharded))
    volatile = volatile_functions(sharded)
    for origin, statement in chain(made, [("db.admin.purge.DROP_EXPIRED", each) for each in DROP_EXPIRED]):
        for name in volatile_calls(statement, volatile):
            yield f"Citus: {origin} calls the volatile function {name} where it changes rows"


def _rows(url: str, text: str) -> list[Any]:
    return ask(url, [text], {})[0]
