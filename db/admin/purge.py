"""Drops the Idempotency-Keys that have run out, of all users, as the role that reaches no others."""

import asyncio

from sqlalchemy import bindparam, delete, select, tuple_

from db.driver.database import Database
from db.driver.messages import as_purger
from db.driver.pool import Pool
from db.driver.url import normalise
from db.models import NAMES, idempotency_keys
from db.statements import expired_key

_key = tuple(idempotency_keys.primary_key.columns)
_some = select(*_key).where(expired_key).limit(bindparam("count"))
# The one statement that has no owner, so it has a role of its own.
DROP_EXPIRED_KEYS = (
    delete(idempotency_keys).where(tuple_(*_key).in_(_some), expired_key).returning(idempotency_keys.c.key)
)
BATCH = 5_000
DEADLINE_SECONDS = 60


def purge(url: str) -> int:
    """Drops every Idempotency-Key that has run out and returns how many those were.

    It goes by batches of 5,000 keys, each a transaction of its own, so that nobody waits for it long and what is done
    stays done if it is interrupted.

    Args:
        url: a PostgreSQL URL in any of the forms that `db.driver.url.normalise` takes.

    Raises:
        Unavailable: for trouble that passes.
        InternalError: if the login may not enter the role `todo_purger`.
    """
    return asyncio.run(_purge(url))


async def _purge(url: str) -> int:
    pool = Pool(normalise(url), size=1, queue=0)
    database = Database(pool, NAMES, DEADLINE_SECONDS)
    dropped = 0
    try:
        while batch := len(await database.run(as_purger(DROP_EXPIRED_KEYS, NAMES), {"count": BATCH})):
            dropped += batch
    finally:
        pool.close()
    return dropped
