"""Brings a database to the schema that this version needs, and tells how far it is from that."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg2
from sqlalchemy import Connection, NullPool, column, create_engine, inspect, select, table
from sqlalchemy.exc import DBAPIError

from db.driver.url import CONNECT_TIMEOUT_SECONDS, normalise

# Alembic is imported where it is used: a server that finds its schema in order starts without it.
if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parents[2] / "alembic"

OLDER = "The database's schema is older than this version of todo-api: run `todo-api migrate`"
NEWER = "The database's schema is of another, newer version of todo-api: install that one"
DIFFERENT = (
    "The contract and the migrations differ ({}): run `alembic revision --autogenerate -m WHAT_CHANGED`"
)

# A migration raises this SQLSTATE with a sentence that is written for a person.
_FOR_A_PERSON = "TODO1"
# By the beginning of the SQLSTATE (appendix A of the PostgreSQL manual).
_ADVICE = {
    "08": "The connection to the database was lost, so nothing has changed: try again",
    "25006": "The database is read-only: use the address of its primary server",
    "40": "Another transaction was in the way, so nothing has changed: try again",
    "42501": "The login may not use or change this schema: take the login that owns it, or make this one its owner "
    "(a migration that changes rows also has to set NO FORCE ROW LEVEL SECURITY)",
    "53": "The database has no disk space, memory or connection left: free some and try again",
    "55P03": "Another migration or a long transaction holds a lock, so nothing has changed: try again after it",
    "57014": "A step of the migration took too long, so nothing has changed: try again at a quieter time",
    "57P": "The database is starting or shutting down, so nothing has changed: try again",
}
# Of a connection that was refused the driver tells no SQLSTATE, only the server's words or those of TLS.
# The first that fits: with `sslmode=prefer` the words are those of two attempts.
_REFUSALS = {
    "certificate": "The database's certificate is not the one that DATABASE_URL asks for: check the host name, and "
    "that sslrootcert is the path of its authority's certificate",
    "authentication failed": "The database refused the login: check user and password in DATABASE_URL",
    "no password supplied": "The database asks for a password: put one into DATABASE_URL",
    "does not support SSL": "The database has no TLS, which DATABASE_URL asks for: check host and sslmode",
    "pg_hba.conf": "The database lets nobody in from here with this login: its pg_hba.conf must allow it, and may ask "
    "for TLS (sslmode=require)",
    "does not exist": "The database or the login in DATABASE_URL does not exist: create it, or check the names",
}
_UNREACHABLE = "The database cannot be reached: check that it runs, and host and port in DATABASE_URL"


class MigrationError(Exception):
    """Why a database is not at the schema that it should be at, and what would help: one line for a person."""


def upgrade(url: str) -> None:
    """Brings the database to the newest schema in one transaction, or leaves it as it was.

    A second caller waits for the first, and then finds nothing to do.

    Args:
        url: a PostgreSQL URL in any of the forms that `db.driver.url.normalise` takes.

    Raises:
        MigrationError: if it cannot be done.
    """
    from alembic import command
    from alembic.util import CommandError

    with _explained():
        try:
            command.upgrade(_config(url), "head")
        except CommandError as error:
            raise MigrationError(NEWER) from error


def pending(url: str) -> str | None:
    """None if the database is at the newest schema, else a sentence that tells what to do.

    Raises:
        MigrationError: if the database cannot be asked.
    """
    # Each file has the name of its revision, and they are numbered.
    *older, newest = sorted(file.name.partition("_")[0] for file in FOLDER.glob("versions/*.py"))
    with _explained(), connect(url) as connection:
        is_new = not inspect(connection).has_table("alembic_version")
        current = (
            None
            if is_new
            else connection.scalar(select(column("version_num")).select_from(table("alembic_version")))
        )
    if current == newest:
        return None
    return OLDER if current in {None, *older} else NEWER


def check(url: str) -> None:
    """Returns if the models, and so the contract, ask for nothing that the migrations do not make.

    Args:
        url: a database that is at the newest schema.

    Raises:
        MigrationError: with what differs, or because the database is not at the newest schema.
    """
    from alembic import command
    from alembic.util import AutogenerateDiffsDetected

    if (reason := pending(url)) is not None:
        raise MigrationError(reason)
    with _explained():
        try:
            command.check(_config(url))
        except AutogenerateDiffsDetected as error:
            differences = ", ".join(map(_describe, error.diffs))
            raise MigrationError(DIFFERENT.format(differences)) from error


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """A connection for migrations, closed at the end of the context; its transactions are not autocommitted."""
    engine = create_engine(
        normalise(url),
        poolclass=NullPool,
        # After a wait for another deployer each statement must see what that one has committed.
        isolation_level="READ COMMITTED",
        use_native_hstore=False,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "application_name": "todo-api migrate"},
    )
    with engine.connect() as connection:
        yield connection


def _config(url: str) -> "Config":
    from alembic.config import Config

    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _describe(difference: Any) -> str:
    """`add constraint tasks_title_length_1_200`, say, from one of Alembic's differences."""
    first = difference[0] if isinstance(difference, list) else difference
    what, *where = first
    names = [getattr(part, "name", part) for part in where]
    return f"{what.replace('_', ' ')} {'.'.join(name for name in names if isinstance(name, str))}"


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise MigrationError(_sentence(cast("psycopg2.Error", error.orig))) from error


def _sentence(error: psycopg2.Error) -> str:
    if error.pgcode == _FOR_A_PERSON:
        return str(error.diag.message_primary)
    if error.pgcode is None:
        return next((advice for words, advice in _REFUSALS.items() if words in str(error)), _UNREACHABLE)
    advice = (advice for prefix, advice in _ADVICE.items() if error.pgcode.startswith(prefix))
    return next(advice, f"The migration failed with SQLSTATE {error.pgcode}, and nothing has changed")
