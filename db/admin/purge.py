"""Drops what has run out, of all users, as the role that reaches nothing else: Idempotency-Keys and deleted tasks."""

import asyncio
from contextlib import closing

from sqlalchemy import ColumnElement, Table, bindparam, delete, select, tuple_
from sqlalchemy.sql.dml import ReturningDelete

from db.columns import EXPIRED_KEY, EXPIRED_TASK
from db.driver.database import Database
from db.driver.messages import as_purger
from db.driver.pool import Pool
from db.models import NAMES, idempotency_keys, tasks


def _drop(table: Table, expired: ColumnElement[bool]) -> ReturningDelete[tuple[object]]:
    key = tuple(table.primary_key.columns)
    some = select(*key).where(expired).limit(bindparam("count"))
    return delete(table).where(tuple_(*key).in_(some), expired).returning(*key)


# The statements that have no owner, so they have a role of their own.
DROP_EXPIRED = (_drop(idempotency_keys, EXPIRED_KEY), _drop(tasks, EXPIRED_TASK))
BATCH = 5_000
DEADLINE_SECONDS = 60


def purge(url: str) -> tuple[int, int]:
    """Drops every Idempotency-Key that has run out and every task that was deleted too long ago to be brought back.

    It goes by batches of 5,000 rows, each a transaction of its own, so that nobody waits for it long and what is done
    stays done if it is interrupted.

    Args:
        url: a PostgreSQL URL in any of the forms that `db.driver.url.libpq_parameters` takes.

    Returns:
        How many keys and how many tasks those were.

    Raises:
        Unavailable: for trouble that passes.
        InternalError: if the login may not enter the role `todo_purger`.
    """
    return asyncio.run(_purge(url))


async def _purge(url: str) -> tuple[int, int]:
    with closing(Database(Pool(url, size=1, queue=0), NAMES, DEADLINE_SECONDS)) as database:
        keys, gone = [await _drop_all(database, statement) for statement in DROP_EXPIRED]
        return keys, gone


async def _drop_all(database: Database, statement: ReturningDelete[tuple[object]]) -> int:
    dropped = 0
    while batch := len(await database.run(as_purger(statement, NAMES), {"count": BATCH})):
        dropped += batch
    return dropped
