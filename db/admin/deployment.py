"""On what the database runs, as far as a client can tell: version, Citus, what stands in between, and what it logs."""

import asyncio
from typing import Any

import psycopg2

from db.driver.connection import open_connection
from db.driver.url import normalise

_QUESTION = """
SELECT pg_backend_pid(), current_setting('server_version'),
       (SELECT extversion FROM pg_extension WHERE extname = 'citus')
"""
# With these the server's log holds nothing that users send.
_QUIET = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
}
_UNKNOWN = "cannot tell: the database did not answer this question"


def describe(url: str) -> str:
    """A sentence for a person: plain PostgreSQL or Citus, its version, and whether it is reached through a pooler.

    A server names its process when a connection is opened (`BackendKeyData` of the protocol, section 55.7 of the
    PostgreSQL manual). PgBouncer names one that it has made up, so that it can pass on cancellations; how it pools,
    and whether something passes the bytes on unchanged, cannot be told from outside.
    """
    try:
        return asyncio.run(_describe(url))
    except (psycopg2.Error, OSError):
        return _UNKNOWN


def describe_log(url: str) -> str:
    """A sentence for a person: whether the server's log can hold what users send, and what to set if it can."""
    names = ", ".join(f"current_setting('{name}')" for name in _QUIET)
    try:
        found = asyncio.run(_ask(url, f"SELECT {names}"))
    except (psycopg2.Error, OSError):
        return _UNKNOWN
    changes = [
        f"{name} = {wanted}"
        for (name, wanted), value in zip(_QUIET.items(), found, strict=True)
        if value != wanted
    ]
    if not changes:
        return "PostgreSQL's holds nothing that users send"
    return f"PostgreSQL's may hold what users send, until an administrator sets {', '.join(changes)}"


async def _ask(url: str, question: str) -> tuple[Any, ...]:
    connection = await open_connection(normalise(url))
    try:
        (row,) = await connection.run(question, {})
        return row
    finally:
        connection.close()


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
