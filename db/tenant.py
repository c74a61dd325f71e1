"""The one place where statements run: check a connection out, enter the tenant, run one statement, all in one
round trip.

psycopg2 in autocommit sends `SELECT todo_enter(...); <statement>` as one message, which PostgreSQL runs as one
transaction and answers with the last result. `todo_enter` puts the transaction into the role `todo_tenant`,
which row level security binds, and names the user to the policies; both end with the transaction, so a pooled
connection carries nothing from one user to the next (see docs/decisions/0003-one-round-trip.md).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import ForeignKeyViolation
from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.visitors import iterate

from db.faults import failure_of, is_disconnect
from openapi.errors import Unavailable

_ENTER = "SELECT todo_enter(%(tenant)s); "
_DIALECT: Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]


class _Compiled(NamedTuple):
    text: str
    constants: Mapping[str, Any]
    only_reads: bool


@lru_cache(maxsize=256)
def _compile(statement: ClauseElement) -> _Compiled:
    """The statement as psycopg2 takes it; kept, since compiling takes longer than PostgreSQL needs to run it."""
    compiled = statement.compile(dialect=_DIALECT)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    only_reads = not any(isinstance(part, UpdateBase) for part in iterate(statement))
    return _Compiled(_ENTER + str(compiled), constants, only_reads)


class Database:
    """The pool of connections, on which a tenant's statements run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tenant(self, user_id: str, email: str | None) -> "Tenant":
        """The user's own view of the database."""
        return Tenant(self, user_id, email)

    def ping(self) -> None:
        """Returns if the database answers; raises Unavailable if not."""
        self.run("SELECT 1", {}, retry=True)

    def run(self, text: str, parameters: Mapping[str, Any], *, retry: bool) -> list[Any]:
        """Sends `text` as one message and returns the rows that its last statement answers.

        Args:
            parameters: the values of its `%(name)s` marks.
            retry: whether it may be sent again after a lost connection, since it only reads.

        Raises:
            Unavailable: for trouble that passes: no connection, a timeout, a full disk.
            ForeignKeyViolation: as the driver raises it.
            InternalError: for anything else.
        """
        try:
            try:
                return self._send(text, parameters)
            except psycopg2.Error as error:
                if not (retry and is_disconnect(error)):
                    raise
            return self._send(text, parameters)
        except ForeignKeyViolation:
            raise
        except psycopg2.Error as error:
            # Without its cause: the driver quotes the statement, and with it what the client has sent.
            raise failure_of(error) from None
        except PoolTimeout as error:
            raise Unavailable("no connection of the pool came free in time") from error

    def _send(self, text: str, parameters: Mapping[str, Any]) -> list[Any]:
        try:
            connection = self._engine.raw_connection()
        except psycopg2.Error as error:
            # A database that has just let nobody in is not asked a second time by the same request.
            raise failure_of(error) from None
        try:
            cursor = connection.cursor()
            cursor.execute(text, parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except psycopg2.Error as error:
            if is_disconnect(error):
                connection.invalidate()
            raise
        finally:
            connection.close()


class Tenant:
    """An authenticated user with the only view of the database that a handler gets: the user's own rows."""

    def __init__(self, database: Database, user_id: str, email: str | None) -> None:
        self.user_id = user_id
        self._database = database
        self._identity = {"tenant": user_id, "email": email}

    def fetch(self, statement: ClauseElement, **values: Any) -> list[Any]:
        """The rows, as dictionaries by column, that a statement of `db.statements` answers, run as this user in one
        round trip.

        Args:
            values: the statement's parameters other than the user's own.

        Raises:
            Unavailable: for trouble that passes.
        """
        text, constants, only_reads = _compile(statement)
        parameters = {**constants, **values, **self._identity}
        try:
            return self._database.run(text, parameters, retry=only_reads)
        except ForeignKeyViolation:
            # The user's row was not made because another user has the same email: go on without the email.
            return self._database.run(text, {**parameters, "email": None}, retry=only_reads)

    def fetch_one(self, statement: ClauseElement, **values: Any) -> Any:
        """The first row that the statement answers, or None; see `fetch`."""
        rows = self.fetch(statement, **values)
        return rows[0] if rows else None
