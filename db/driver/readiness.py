"""Whether the database answers, on a connection of its own, so that no user's load can hide it."""

import asyncio
from collections import deque
from collections.abc import Mapping

import psycopg2

from db.driver.connection import Connection
from db.driver.messages import Message
from db.driver.opening import open_connection
from openapi.bridge.failures import Unavailable

# However many ask, the database is asked once in this time.
INTERVAL_SECONDS = 1
DEADLINE_SECONDS = 1
# Users who cannot exist, as far as no `sub` may hold a slash. Where a database is spread over machines by user, each of
# them may be asked of another machine; one that is away concerns only the users whose rows it has. Citus makes 32
# shards and deals them out in turn; so, by their hashes, with two to eight machines no machine has those of all four.
# That was tried with two.
_NOBODY = ("/0", "/3", "/4", "/5")


class Readiness:
    """Asks the database whether it answers.

    Args:
        parameters: of the connection to it.
        message: what it must answer for one of four users who do not exist.
    """

    def __init__(self, parameters: Mapping[str, str], message: Message) -> None:
        self._parameters = parameters
        self._message = message
        self._users = deque(_NOBODY)
        self._connection: Connection | None = None
        self._asked: asyncio.Task[None] | None = None
        self._asked_at = 0.0

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
        others = len(self._users)
        while True:
            if self._connection is None or not self._connection.is_open:
                self._connection = await open_connection(self._parameters)
            values = {"tenant": self._users[0], "not_after": None}
            end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
            try:
                await self._connection.run(self._message.plain, values, end)
                return
            except (psycopg2.Error, TimeoutError):
                # So who has got an answer is asked for first the next time.
                self._users.rotate()
                others -= 1
                if not others:
                    raise

    def close(self) -> None:
        """Closes its connection."""
        if self._connection is not None:
            self._connection.close()
