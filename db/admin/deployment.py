"""On what the database runs, as far as a client can tell: version, Citus, and whether something stands in between."""

import asyncio

import psycopg2

from db.driver.connection import open_connection
from db.driver.url import normalise

_QUESTION = """
SELECT pg_backend_pid(), current_setting('server_version'),
       (SELECT extversion FROM pg_extension WHERE extname = 'citus')
"""


def describe(url: str) -> str:
    """A sentence for a person: plain PostgreSQL or Citus, its version, and whether it is reached through a pooler.

    A server names its process when a connection is opened (`BackendKeyData` of the protocol, section 55.7 of the
    PostgreSQL manual). PgBouncer names one that it has made up, so that it can pass on cancellations; how it pools,
    and whether something passes the bytes on unchanged, cannot be told from outside.
    """
    try:
        return asyncio.run(_describe(url))
    except (psycopg2.Error, OSError):
        return "cannot tell: the database did not answer this question"


async def _describe(url: str) -> str:
    connection = await open_connection(normalise(url))
    try:
        ((process, version, citus),) = await connection.run(_QUESTION, {})
        kind = f"Citus {citus} on PostgreSQL {version}" if citus else f"plain PostgreSQL {version}"
        if process == connection.session:
            return f"{kind}, reached directly (a proxy that changes nothing cannot be told)"
        return f"{kind}, behind a pooler such as PgBouncer (how it pools cannot be told)"
    finally:
        connection.close()
