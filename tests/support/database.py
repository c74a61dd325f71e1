"""The database as a superuser sees it, for what a client can neither see nor bring about."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from tests.support.clusters import run
from tests.support.running import wait_until


@contextmanager
def open_transaction(database_url: str) -> Iterator[Any]:
    """A superuser's cursor in a transaction that holds its locks until the context ends, and is committed then."""
    with closing(psycopg2.connect(database_url)) as connection:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()


def wait_for_waiting(database_url: str, count: int) -> None:
    """Returns as soon as at least `count` statements of the service wait for a lock."""
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'todo-api' AND wait_event_type = 'Lock'"
    )
    wait_until(lambda: count <= len(run(database_url, waiting)))
