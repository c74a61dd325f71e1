"""On what the database runs, as far as a client can tell: version, Citus, what stands in between, and what it logs."""

import asyncio
from contextlib import closing
from typing import Any, NamedTuple

import psycopg2

from db.driver.opening import open_connection
from db.driver.url import libpq_parameters
from db.embedded.configuration import QUIET

_QUESTION = """
SELECT pg_backend_pid(), current_setting('server_version'),
       (SELECT extversion FROM pg_extension WHERE extname = 'citus'),
       (SELECT array_agg(current_setting(name) ORDER BY place)
          FROM unnest(%(settings)s) WITH ORDINALITY AS asked (name, place))
"""
_IS_USED = """
SELECT EXISTS (SELECT FROM pg_dist_partition JOIN pg_class ON logicalrelid = pg_class.oid
                WHERE relnamespace = quote_ident(current_schema)::regnamespace)
"""
_UNKNOWN = "cannot tell: the database did not answer this question"


class Deployment(NamedTuple):
    """Sentences for a person.

    Args:
        kind: plain PostgreSQL or Citus, its version, and whether it is reached through a pooler.
        log: whether the server's log can hold what users send, and what to set if it can.
        is_warning: whether there is Citus, and it has none of the tables.
    """

    kind: str
    log: str
    is_warning: bool = False


def describe(url: str) -> Deployment:
    """What the database at `url` runs on.

    A server names its process when a connection is opened (`BackendKeyData` of the protocol, section 55.7 of the
    PostgreSQL manual). PgBouncer names one that it has made up, so that it can pass on cancellations; how it pools,
    and whether something passes the bytes on unchanged, cannot be told from outside.
    """
    try:
        session, (process, version, citus, found), is_used = asyncio.run(_ask(url))
    except (psycopg2.Error, OSError):
        return Deployment(_UNKNOWN, _UNKNOWN)
    kind = f"Citus {citus} on PostgreSQL {version}" if citus else f"plain PostgreSQL {version}"
    is_unused = bool(citus and not is_used)
    if is_unused:
        kind += ", which has none of the tables (see docs/deploy/citus.md)"
    if process == session:
        way = "reached directly (a proxy that changes nothing cannot be told)"
    else:
        way = "behind a pooler such as PgBouncer (how it pools cannot be told)"
    settings = zip(QUIET.items(), found, strict=True)
    changes = [f"{name} = {wanted}" for (name, wanted), value in settings if value != wanted]
    log = "PostgreSQL's holds nothing that users send"
    if changes:
        log = f"PostgreSQL's may hold what users send, until an administrator sets {', '.join(changes)}"
    return Deployment(f"{kind}, {way}", log, is_unused)


async def _ask(url: str) -> tuple[int, tuple[Any, ...], bool]:
    """The process that the connection was given, the answer, and whether Citus has any of the tables."""
    with closing(await open_connection(libpq_parameters(url))) as connection:
        (row,) = await connection.run(_QUESTION, {"settings": list(QUIET)})
        is_used = row[2] is not None and (await connection.run(_IS_USED, {}))[0][0]
        return connection.process, row, is_used
