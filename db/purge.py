"""Drops the Idempotency-Keys that have run out, of all users, as the role that reaches no others."""

import asyncio

from db.messages import as_purger
from db.pool import Pool
from db.statements import drop_expired_keys
from db.tenant import Database
from db.url import normalise

BATCH = 5_000
DEADLINE_SECONDS = 60


def purge(url: str) -> int:
    """Drops every Idempotency-Key that has run out and returns how many those were.

    It goes by batches of 5,000 keys, each a transaction of its own, so that nobody waits for it long and what is done
    stays done if it is interrupted.

    Args:
        url: a PostgreSQL URL in any of the forms that `db.url.normalise` takes.

    Raises:
        Unavailable: for trouble that passes.
        InternalError: if the login may not enter the role `todo_purger`.
    """
    return asyncio.run(_purge(url))


async def _purge(url: str) -> int:
    pool = Pool(normalise(url), size=1, queue=0)
    database = Database(pool, DEADLINE_SECONDS)
    dropped = 0
    try:
        while batch := len(await database.run(as_purger(drop_expired_keys()), {"count": BATCH})):
            dropped += batch
    finally:
        pool.close()
    return dropped
