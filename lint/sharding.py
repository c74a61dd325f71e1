"""What Citus forbids in a schema, as rules that `make lint` checks, so that the same migrations can make tables that
are sharded by user (docs/deploy/citus.md); `lint/refused_forms.py` is about the statements.

Citus itself is not needed: the migrations run on a PostgreSQL that has an extension of its name, and so take their way
for Citus, and a stand-in for `create_distributed_table` that writes down what is distributed by which column.
"""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, event, make_url

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
_QUOTED = re.compile(r"""--[^\n]*|/\*.*?\*/|'[^']*'|"[^"]*"|(\$\w*\$).*?\1""", re.DOTALL)


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


def is_one_command(message: str) -> bool:
    """Whether a message holds no more than one command; Citus sends it on to its machines as it is."""
    return ";" not in _QUOTED.sub("", message).strip().removesuffix(";")


def sharding_faults(url: str) -> Iterator[str]:
    """Every sentence about what Citus would refuse in the migrations.

    Args:
        url: as for `create_sharded`.
    """
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, message: str, *_: Any) -> None:
        sent.append(message)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        sharded = create_sharded(url)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    yield from (f"Citus: {fault}" for fault in schema_faults(sharded))
    for message in sent:
        if not is_one_command(message):
            yield f"Citus: a migration sends several commands as one message: {' '.join(message.split())[:60]}"


def _rows(url: str, text: str) -> list[Any]:
    return ask(url, [text], {})[0]
