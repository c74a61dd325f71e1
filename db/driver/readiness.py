"""Whether the database answers, on a connection of its own, so that no user's load can hide it."""

import asyncio

import psycopg2
from sqlalchemy import URL

from db.driver.connection import Connection, Deadlines, open_connection
from openapi.bridge.failures import Unavailable

# However many ask, the database is asked once in this time.
INTERVAL_SECONDS = 1
DEADLINE_SECONDS = 4


class Readiness:
    """Asks the database at `url` whether it answers."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._asked: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._deadlines = Deadlines()

    async def check(self) -> None:
        """Returns if the database has answered within the last second.

        Raises:
            Unavailable: if it has not.
        """
        loop = asyncio.get_running_loop()
        if self._asked is None or (self._asked.done() and loop.time() >= self._asked_at + INTERVAL_SECONDS):
            self._asked_at = loop.time()
            self._asked = loop.create_task(self._ask())
        try:
            # Others may wait for the same answer when one of them goes.
            await asyncio.shield(self._asked)
        except (psycopg2.Error, TimeoutError):
            raise Unavailable("the database did not answer the readiness check") from None

    async def _ask(self) -> None:
        if self._connection is None or not self._connection.is_open:
            self._connection = await open_connection(self._url, self._deadlines)
        end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        await self._connection.run("SELECT 1", {}, end)

    def close(self) -> None:
        """Closes its connection."""
        if self._connection is not None:
            self._connection.close()
