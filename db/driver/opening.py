"""How a connection to PostgreSQL begins."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from random import getrandbits

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE, register_type

from db.driver.connection import TYPES, Connection, Deadlines
from db.driver.url import CONNECT_TIMEOUT_SECONDS, connection_arguments

# Behind a pooler, which names a process of its own, the session serves others too, so nothing may stay in it. Citus
# takes no settings but those of the function which enters. Where PostgreSQL's own schema comes first, as in a session
# that was ours before, the service's cannot be told.
_INTRODUCTION = """
SELECT date_part('epoch', clock_timestamp()),
       CASE WHEN pg_backend_pid() = %(process)s AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
            THEN nullif(current_schema(), 'pg_catalog') END
"""


async def open_connection(parameters: Mapping[str, str], deadlines: Deadlines | None = None) -> Connection:
    """A connection that runs each message as a transaction of its own.

    Args:
        parameters: as `db.driver.url.libpq_parameters` gives them.

    Raises:
        psycopg2.OperationalError: if there is none within CONNECT_TIMEOUT_SECONDS.
    """
    end = asyncio.get_running_loop().time() + CONNECT_TIMEOUT_SECONDS
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            with ExitStack() as undo:
                opened = psycopg2.connect(async_=True, **await connection_arguments(parameters))
                undo.callback(opened.close)
                for each in TYPES:
                    register_type(each, opened)
                while (state := opened.poll()) != POLL_OK:
                    await _ready(opened.fileno(), writing=state == POLL_WRITE)
                connection = Connection(opened, deadlines or Deadlines())
                undo.callback(connection.close)
                connection.own_schema = await connection.learn_clock(end, _INTRODUCTION)
                connection.session = 0 if connection.own_schema is None else getrandbits(62)
                undo.pop_all()
                return connection
    except OSError as error:  # TimeoutError is one too.
        raise psycopg2.OperationalError("no connection to the database in time") from error


async def _ready(descriptor: int, writing: bool) -> None:
    """Returns when the socket can be written, or read. While it connects libpq goes from one socket to another."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
