"""The database as a superuser sees it, for what a client can neither see nor bring about."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from tests.support.running import wait_until


@contextmanager
def superuser(database_url: str) -> Iterator[Any]:
    """A cursor in autocommit that sees every user's rows: row level security does not bind a superuser."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        yield cursor


@contextmanager
def open_transaction(database_url: str) -> Iterator[Any]:
    """A superuser's cursor in a transaction that holds its locks until the context ends, and is committed then."""
    with closing(psycopg2.connect(database_url)) as connection:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()


def wait_for_waiting(database_url: str, count: int) -> None:
    """Returns as soon as at least `count` statements of the service wait for a lock."""
    with superuser(database_url) as cursor:

        def waiting() -> bool:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api' AND wait_event_type = 'Lock'"
            )
            return bool(count <= cursor.fetchone()[0])

        wait_until(waiting)
