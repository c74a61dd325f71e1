"""The one place where statements run: take a connection, enter the tenant, run one statement, all in one round trip.

psycopg2 sends `SELECT todo_enter(...); <statement>` as one message, which PostgreSQL runs as one transaction and
answers with the last result. The function puts the transaction into a role that row level security binds, and names
the user to the policies; both end with the transaction, so a pooled connection carries nothing from one user to the
next (see docs/decisions/0003-one-round-trip.md).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2.errors import ForeignKeyViolation
from sqlalchemy import Insert
from sqlalchemy.sql.selectable import ReturnsRows

from db.driver.connection import Connection
from db.driver.faults import failure_of, is_disconnect, is_unprepared
from db.driver.messages import Message, as_tenant
from db.driver.names import Names
from db.driver.pool import Pool
from openapi.bridge.failures import Unavailable

# Longer than PostgreSQL lets a statement run (see todo_enter), so that it is the one to decide where it can. It
# cannot while its machine is frozen or cut off, nor for a call that still waits for a connection.
DEADLINE_SECONDS = 4.5
# A user beyond them is registered once more, which changes nothing.
_MOST_KNOWN_USERS = 10_000


class Database:
    """What the tenants' statements run on.

    Args:
        pool: its connections.
        names: what the service calls its roles and functions there.
        deadline: how long a call may take with all its waiting, in seconds.
        register: insertions that make a user's own row and change nothing where it is there. They are sent before the
            first insertion of each user, in the same transaction, with the values of the tenant's identity.
    """

    def __init__(
        self, pool: Pool, names: Names, deadline: float = DEADLINE_SECONDS, register: Sequence[Insert] = ()
    ) -> None:
        self.names = names
        self._pool = pool
        self._deadline = deadline
        self._register = tuple(register)
        self._registered: dict[str, None] = {}

    def tenant(self, user_id: str, **identity: Any) -> "Tenant":
        """The user's own view of the database.

        Args:
            identity: what else is known of the user, as parameters for every statement.
        """
        return Tenant(self, user_id, identity)

    async def ping(self) -> None:
        """Returns if the database answers; raises Unavailable if not."""
        await self.run(Message.of("SELECT 1 AS one"), {})

    async def run_as(
        self,
        user_id: str,
        statement: ReturnsRows,
        parameters: Mapping[str, Any],
        before: tuple[Insert, ...] = (),
    ) -> list[Any]:
        """The rows that `statement` answers, run as the user after those that come `before` it, as dictionaries by
        column; see `run`."""
        message = as_tenant(statement, self.names, before)
        if message.inserts and self._register and user_id not in self._registered:
            return await self._run_registering(user_id, statement, parameters, before)
        try:
            return await self.run(message, {**message.constants, **parameters})
        except ForeignKeyViolation:
            # The user's row has been erased by another process since it was made.
            if not self._register:
                raise
            return await self._run_registering(user_id, statement, parameters, before)

    def forget(self, user_id: str) -> None:
        """Takes note that the user's row is gone."""
        self._registered.pop(user_id, None)

    async def _run_registering(
        self,
        user_id: str,
        statement: ReturnsRows,
        parameters: Mapping[str, Any],
        before: tuple[Insert, ...],
    ) -> list[Any]:
        message = as_tenant(statement, self.names, (*self._register, *before))
        rows = await self.run(message, {**message.constants, **parameters})
        if len(self._registered) >= _MOST_KNOWN_USERS:
            self._registered.clear()
        self._registered[user_id] = None
        return rows

    async def run(self, message: Message, parameters: Mapping[str, Any]) -> list[Any]:
        """The rows that the last statement of `message` answers, as dictionaries by column.

        Args:
            parameters: the values of its `%(name)s` marks.

        Raises:
            Unavailable: for trouble that passes: no connection, a timeout, a full disk.
            ForeignKeyViolation: as the driver raises it.
            InternalError: for anything else.
        """
        try:
            async with asyncio.timeout(self._deadline):
                try:
                    return await self._send(message, parameters)
                except psycopg2.Error as error:
                    if not (message.only_reads and is_disconnect(error)):
                        raise
                return await self._send(message, parameters)
        except ForeignKeyViolation:
            raise
        except psycopg2.Error as error:
            # Without its cause: the driver quotes the statement, and with it what the client has sent.
            raise failure_of(error) from None
        except TimeoutError:
            raise Unavailable("the database did not answer within the deadline") from None

    async def _send(self, message: Message, parameters: Mapping[str, Any]) -> list[Any]:
        connection = await self._pool.acquire()
        try:
            rows = await _run(connection, message, parameters)
            columns = message.columns or connection.columns
            return [dict(zip(columns, row, strict=True)) for row in rows]
        finally:
            self._pool.release(connection)


async def _run(connection: Connection, message: Message, parameters: Mapping[str, Any]) -> list[Any]:
    """Sends `message` in the shortest form that the connection takes (docs/decisions/0005-prepared-by-digest.md)."""
    if not connection.prepares:
        return await connection.run(message.plain, parameters)
    is_prepared = message.name in connection.prepared
    connection.prepared.add(message.name)
    try:
        return await connection.run(message.execute if is_prepared else message.prepare, parameters)
    except psycopg2.Error as error:
        if not is_unprepared(error):
            raise
    # A pooler has put another session behind this connection, or a migration has changed what was prepared. The
    # error has undone the whole message, so it can be sent again.
    connection.prepares = False
    return await connection.run(message.plain, parameters)


class Tenant:
    """An authenticated user with the only view of the database that a handler gets: the user's own rows."""

    def __init__(self, database: Database, user_id: str, identity: Mapping[str, Any]) -> None:
        self.user_id = user_id
        self._database = database
        self._identity = {"tenant": user_id, **identity}

    async def fetch(
        self, statement: ReturnsRows, *, before: tuple[Insert, ...] = (), **values: Any
    ) -> list[Any]:
        """The rows, as dictionaries by column, that a statement answers, run as this user in one round trip.

        Args:
            before: what is run before it, in the same transaction.
            values: the statement's parameters other than the user's own.

        Raises:
            Unavailable: for trouble that passes.
        """
        return await self._database.run_as(self.user_id, statement, {**values, **self._identity}, before)

    def forget(self) -> None:
        """Takes note that the user's row is gone, so that the next use makes it anew."""
        self._database.forget(self.user_id)

    async def fetch_one(self, statement: ReturnsRows, **values: Any) -> Any:
        """The first row that the statement answers, or None; see `fetch`."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None
