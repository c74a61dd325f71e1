"""The one place where statements run: take a connection, enter the tenant, run one statement, all in one round trip.

psycopg2 sends `SELECT todo_enter(...); <statement>` as one message, which PostgreSQL runs as one transaction and
answers with the last result. The function puts the transaction into a role that row level security binds, and names
the user to the policies; both end with the transaction, so a pooled connection carries nothing from one user to the
next. A session that is the service's own stays in the role, and a setting names the user without the function, for what
only reads or itself refuses to come late (see docs/decisions/0003-one-round-trip.md).
"""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import psycopg2
from sqlalchemy import Insert
from sqlalchemy.sql.selectable import ReturnsRows

from db.driver import faults
from db.driver.connection import Connection
from db.driver.messages import STATEMENT_SECONDS, Message, as_tenant
from db.driver.names import Names
from db.driver.pool import Pool
from db.driver.readiness import Readiness
from openapi.bridge.answers import as_json
from openapi.bridge.failures import BadRequest, Unavailable

# How long a call may take with all its waiting; a statement that is marked as slow has less, since it holds up others.
DEADLINE_SECONDS = 4.5
SLOW_DEADLINE_SECONDS = 2.5
# The database gives up so long before the service does, which leaves time for its answer; and a call that has no
# connection by then is not started with less time than that.
MARGIN_SECONDS = 0.5
# What PostgreSQL has undone so that another message could go on is sent again after this time, since the other may be
# slow to wake, and the two would stand in each other's way once more.
YIELD_SECONDS = 0.1
# No token can name it.
NOBODY = ""
_NOT_AFTER = "%(not_after)s"


class Database:
    """What the tenants' statements run on.

    Args:
        pool: its connections.
        names: what the service calls its roles and functions there.
        deadline: how long a call may take with all its waiting, in seconds.
        register: insertions that make a user's own row and change nothing where it is there. They are sent before the
            first insertion of each user, in the same transaction, with the values of the tenant's identity.
        known_users: how many users `registered` holds at most; others are registered once more.
        probe: what the database must answer as a tenant to be ready (`db.driver.ownership.own_row`).
    """

    def __init__(
        self,
        pool: Pool,
        names: Names,
        deadline: float = DEADLINE_SECONDS,
        register: Sequence[Insert] = (),
        probe: ReturnsRows | None = None,
        known_users: int = 10_000,
    ) -> None:
        self.names = names
        self.pool = pool
        self._deadline = deadline
        self.register = tuple(register)
        # The users whose row is known to be there.
        self.registered: set[str] = set()
        self.known_users = known_users
        asked = Message("SELECT 1") if probe is None else as_tenant(probe, names)
        self._readiness = Readiness(pool.parameters, asked)

    def caller(self, identity: Mapping[str, Any] | None) -> "Database | Tenant":
        """Whom a handler works for: the tenant of an identity's `sub`, and `email` if it has one; the database itself
        without an identity."""
        if identity is None:
            return self
        return Tenant(self, identity["sub"], {"email": identity.get("email")})

    async def ping(self) -> None:
        """Returns if the database answers, asked beside all users; raises Unavailable if it does not."""
        await self._readiness.check()

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._readiness.close()
        self.pool.close()

    async def fetch(self, statement: ReturnsRows, **values: Any) -> list[Any]:
        """The rows that a statement answers to somebody who is not signed in, to whom only shared tables have any.

        Raises:
            Unavailable: for trouble that passes.
        """
        message = as_tenant(statement, self.names)
        return await self.run(message, {**message.constants, **values, "tenant": NOBODY}, NOBODY)

    async def fetch_one(self, statement: ReturnsRows, **values: Any) -> Any:
        """The first row that the statement answers, or None; see `fetch`."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None

    async def run(self, message: Message, parameters: Mapping[str, Any], user: Hashable = None) -> list[Any]:
        """The rows that the last statement of `message` answers, as dictionaries by column.

        Args:
            parameters: the values of its `%(name)s` marks.
            user: whose call it is.

        Raises:
            TooManyRequests: if the user has too many calls under way.
            Unavailable: for trouble that passes: no connection, a timeout, a full disk.
            ConstraintError: for rows that a constraint of the tables does not take.
            BadRequest: for text or JSON with U+0000, which PostgreSQL cannot hold.
            InternalError: for anything else.
        """
        seconds = min(self._deadline, SLOW_DEADLINE_SECONDS) if message.slow else self._deadline
        end = asyncio.get_running_loop().time() + seconds
        if message.json:
            given = [name for name in message.json if parameters[name] is not None]
            parameters = {**parameters, **{name: as_json(parameters[name]).decode() for name in given}}
        if not all(map(_is_storable, parameters.values())):
            raise BadRequest(faults.NOT_STORABLE)
        try:
            try:
                return await self._send(message, parameters, user, end)
            except psycopg2.Error as error:
                if faults.is_undone(error):
                    await asyncio.sleep(YIELD_SECONDS)
                elif not (message.only_reads and faults.is_disconnect(error)):
                    raise
            return await self._send(message, parameters, user, end)
        except psycopg2.Error as error:
            # Without its cause: the driver quotes the statement, and with it what the client has sent.
            raise faults.failure_of(error) from None
        except TimeoutError:
            raise Unavailable("the database did not answer within the deadline") from None

    async def _send(
        self, message: Message, parameters: Mapping[str, Any], user: Hashable, end: float
    ) -> list[Any]:
        connection = await self.pool.acquire(user, end - 2 * MARGIN_SECONDS, message.slow)
        try:
            rows = await _run(connection, message, parameters, end)
            columns = message.columns or connection.columns
            # PostgreSQL answers a value for each column, and to have `zip` look takes longer than the rest of it.
            return [dict(zip(columns, row)) for row in rows]  # noqa: B905
        finally:
            self.pool.release(connection, user, message.slow)


def _is_storable(value: Any) -> bool:
    """Whether the driver can send a value: PostgreSQL has no text with U+0000."""
    if isinstance(value, list):
        return all(map(_is_storable, value))
    return not isinstance(value, str) or "\0" not in value


async def _run(
    connection: Connection, message: Message, parameters: Mapping[str, Any], end: float
) -> list[Any]:
    """Sends `message` with the time by the database's clock until which it may be run, and again where the session, not
    the statement, was the reason that it was refused."""
    clock = connection.loop.time
    if clock() > connection.clock_known_until:
        await connection.learn_clock(end)
    has_learned = False
    while True:
        text, seconds, makes_own = _form(connection, message, end - MARGIN_SECONDS - clock())
        values = parameters
        if _NOT_AFTER in text:
            # The session's limit runs from the beginning of the statement, which has to be as much earlier.
            until = connection.database_time(end - MARGIN_SECONDS - seconds)
            values = {**parameters, "not_after": until}
        if makes_own:
            values = {**values, "_schema": connection.own_schema}
            # If the message fails what it has prepared is there, and the role that it has set is not.
            connection.is_spent = True
        try:
            rows = await connection.run(text, values, end)
        except psycopg2.Error as error:
            # Each of these has undone the whole message.
            if faults.is_too_late(error) and not has_learned and clock() <= end - 2 * MARGIN_SECONDS:
                # The database's clock was set.
                await connection.learn_clock(end)
                has_learned = True
            elif connection.prepares and faults.is_unprepared(error):
                # A pooler has put another session behind this connection.
                connection.prepares = False
            elif connection.prepares and faults.is_outdated(error):
                # A migration has changed what was prepared. The next connection prepares anew.
                connection.prepares, connection.is_spent = False, True
            else:
                # What was dropped and made anew is another one, and the session still has the role or path of before.
                connection.is_spent = connection.is_spent or faults.is_missing(error)
                raise
            if makes_own:
                connection.prepares = False
        else:
            if makes_own:
                connection.is_spent = False
            return rows


def _form(connection: Connection, message: Message, remaining: float) -> tuple[str, float, bool]:
    """The shortest form of `message` that the connection takes (docs/decisions/0005-prepared-by-digest.md); the seconds
    of the session's own limit where that ends the message, 0 where the message sets one itself; and whether it makes
    the session our own.

    Args:
        remaining: the seconds in which it has to be over.
    """
    # Whatever enters by the function, or not at all, does so as the login, in the role with which its session began.
    as_login = "SET LOCAL role TO DEFAULT; " if connection.session else ""
    if not (connection.prepares and message.prepared):
        return f"{as_login if connection.prepared else ''}{message.plain}", 0, False
    if not connection.prepared.issuperset(message.prepared):
        preparing = message.preparing(connection.prepared)
        if connection.session:
            preparing = f"{message.owning}; {preparing}"
        return connection.named(f"{preparing}; {as_login}{message.execute}"), 0, connection.session != 0
    # The session's limit has to leave a statement that begins soon as long as there is, or a little less.
    spare = remaining - STATEMENT_SECONDS
    if message.direct and connection.session and MARGIN_SECONDS / 2 <= spare < 2 * MARGIN_SECONDS:
        return connection.named(message.direct), STATEMENT_SECONDS, False
    return connection.named(f"{as_login}{message.execute}"), 0, False


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
            ConstraintError: for rows that a constraint of the tables does not take.
        """
        database, values = self._database, {**values, **self._identity}
        message = as_tenant(statement, database.names, before)
        if not (message.inserts and database.register) or self.user_id in database.registered:
            try:
                return await database.run(message, {**message.constants, **values}, self.user_id)
            except faults.ConstraintError as broken:
                # The user's row may have been erased by another process since it was made.
                if not (broken.is_foreign_key and database.register):
                    raise
        message = as_tenant(statement, database.names, (*database.register, *before))
        parameters = {**message.constants, **values}
        try:
            rows = await database.run(message, parameters, self.user_id)
        except faults.ConstraintError as broken:
            # Registering holds no lock on a row that is there, so it may have been erased before the message ended.
            if not broken.is_foreign_key:
                raise
            rows = await database.run(message, parameters, self.user_id)
        if len(database.registered) >= database.known_users:
            database.registered.clear()
        database.registered.add(self.user_id)
        return rows

    def forget(self) -> None:
        """Takes note that the user's row is gone, so that the next use makes it anew."""
        self._database.registered.discard(self.user_id)

    async def fetch_one(self, statement: ReturnsRows, **values: Any) -> Any:
        """The first row that the statement answers, or None; see `fetch`."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None
