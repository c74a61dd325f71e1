"""The connections that all requests share, and the bounded queue before them."""

import asyncio

import psycopg2
from sqlalchemy import URL

from db.driver.connection import Connection, open_connection
from db.driver.faults import failure_of
from openapi.bridge.failures import Unavailable


class Pool:
    """At most `size` connections, opened when first needed; at most `queue` more callers wait for one, in order.

    Args:
        url: as `db.driver.url.normalise` gives it.
    """

    def __init__(self, url: URL, size: int, queue: int) -> None:
        self._url = url
        self._size = size
        self._most_callers = size + queue
        self._callers = 0
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    @property
    def in_use(self) -> int:
        """How many connections are given out or being opened."""
        return min(self._callers, self._size)

    @property
    def waiting(self) -> int:
        """How many callers wait for a connection."""
        return self._callers - self.in_use

    async def acquire(self) -> Connection:
        """A connection, to be given back with `release`.

        Raises:
            Unavailable: at once if the queue is full, or if a new connection is needed and cannot be had.
        """
        if self._callers >= self._most_callers:
            raise Unavailable("the queue of requests that wait for the database is full")
        self._callers += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._callers -= 1
            raise
        try:
            # The last one that was used is taken first, so that PostgreSQL keeps as few busy as it can.
            while self._idle:
                connection = self._idle.pop()
                if connection.is_open:
                    return connection
            return await open_connection(self._url)
        except BaseException as error:
            self._leave()
            if isinstance(error, psycopg2.Error):
                # A failure of its own, so that a database that lets nobody in is not asked again by this request.
                raise failure_of(error) from None
            raise

    def release(self, connection: Connection) -> None:
        """Takes a connection back; one that is closed is forgotten."""
        if connection.is_open:
            self._idle.append(connection)
        self._leave()

    def _leave(self) -> None:
        self._free.release()
        self._callers -= 1

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()
