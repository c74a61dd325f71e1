"""What those meet who change the contract and write the next migration, in a copy of the project."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from alembic.script import ScriptDirectory

from db.admin.migrate import MigrationError
from db.migrations import migrations
from tests.support.clusters import DEPLOYER, Cluster, cluster, run
from tests.support.forked import run_module
from tests.support.running import PROJECT, copy_project

HEAD = ScriptDirectory(str(migrations.folder)).get_current_head() or ""
NEXT = f"{int(HEAD) + 1:04}"


class Copy:
    """A copy of the project, and a database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        copy_project(folder)
        shutil.copy(PROJECT / "pyproject.toml", folder)

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `python -m module` in the copy, with the database as the service's own."""
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": self.url}
        return run_module(module, *arguments, cwd=self.folder, environment=environment)

    def migrate(self, *functions: str) -> str:
        """Calls functions of db.admin.migrate; returns the last line of the first error, or nothing."""
        calls = "".join(f"; migrations.{name}(os.environ['DATABASE_URL'])" for name in functions)
        (self.folder / "calls.py").write_text(f"import os; from db.migrations import migrations{calls}")
        ended = self.run("calls")
        return ended.stderr.strip().rpartition("\n")[2]

    def edit(self, old: str, new: str) -> None:
        """Changes the contract at the one place where it says `old`."""
        contract = self.folder / "openapi" / "openapi.yaml"
        text = contract.read_text(encoding="utf-8")
        assert 1 == text.count(old)
        contract.write_text(text.replace(old, new), encoding="utf-8")

    def add_migration(self, statement: str) -> None:
        """Adds a migration after the newest one."""
        (self.folder / f"alembic/versions/{NEXT}_added.py").write_text(
            f"from alembic import op\n\nrevision, down_revision = '{NEXT}', '{HEAD}'\n\n\n"
            f"def upgrade():\n    op.execute({statement!r})\n\n\ndef downgrade():\n    pass\n"
        )


@pytest.fixture
def copy(database_url: str, tmp_path: Path) -> Iterator[Copy]:
    """A copy of the project with an empty database on the embedded server."""
    with Cluster(database_url).database() as url:
        yield Copy(tmp_path, url)


EDITS = {
    "    Title:\n      type: string\n      minLength: 1\n      maxLength: 255\n": ("255", "200"),
    "    Status:\n      type: string\n      enum: [incomplete, complete]\n": (
        "[incomplete",
        "[waiting, incomplete",
    ),
    "    Description:\n      type: [string, 'null']\n": ("[string, 'null']", "string"),
    "#/components/schemas/Status'\n          default: incomplete\n": ("incomplete", "waiting"),
}
DIFFERENCES = (
    "modify nullable tasks.description, modify default tasks.status, "
    "remove constraint tasks_status_incomplete_complete, remove constraint tasks_title_length_1_255, "
    "add constraint tasks_status_waiting_incomplete_complete, add constraint tasks_title_length_1_200"
)


def test_a_contract_that_needs_a_migration(copy: Copy) -> None:
    """Changed limits are found, told with what to run, and what that writes brings the database to the contract."""
    migrations.upgrade(copy.url)
    for place, (old, new) in EDITS.items():
        copy.edit(place, place.replace(old, new))
    assert (
        f"db.admin.migrate.MigrationError: The contract and the migrations differ ({DIFFERENCES}): "
        f"add versions/{NEXT}_WHAT_CHANGED.py, which makes up for it, to {copy.folder}/alembic"
    ) == copy.migrate("check")
    written = copy.run("alembic", "revision", "--autogenerate", "-m", "follow the contract")
    assert 0 == written.returncode, written.stderr
    assert (copy.folder / f"alembic/versions/{NEXT}_follow_the_contract.py").exists()
    assert "" == copy.migrate("upgrade", "check")
    user = "INSERT INTO users (id) VALUES ('alice');"
    task = "INSERT INTO tasks (user_id, {}) VALUES ('alice', {}) RETURNING status"
    assert [("waiting",)] == run(copy.url, user + task.format("title, description", "'x', 'y'"))
    for columns, values in (
        ("title, description", "repeat('x', 201), 'y'"),
        ("title, description, status", "'x', 'y', 'late'"),
        ("title", "'x'"),
    ):
        with pytest.raises(psycopg2.IntegrityError):
            run(copy.url, task.format(columns, values))
    run(copy.url, "DELETE FROM tasks")
    assert 0 == copy.run("alembic", "downgrade", HEAD).returncode
    migrations.check(copy.url)


def test_a_contract_that_needs_none(copy: Copy) -> None:
    """A change that the database has no part in asks for no migration."""
    copy.edit(
        "            maxLength: 64\n            pattern: '^[^",
        "            maxLength: 60\n            pattern: '^[^",
    )
    assert "" == copy.migrate("upgrade", "check")


def test_an_older_schema_is_not_compared(copy: Copy) -> None:
    """A comparison with a database that is not at the newest schema would mislead, so it is refused."""
    with pytest.raises(MigrationError, match=re.escape(migrations.older)):
        migrations.check(copy.url)


def test_all_or_nothing(copy: Copy) -> None:
    """When one migration of several fails, none of them has happened."""
    copy.add_migration("SELECT 1 / 0")
    sentence = "The database refused (DivisionByZero, SQLSTATE 22012), and nothing has changed"
    assert f"db.admin.migrate.MigrationError: {sentence}" == copy.migrate("upgrade")
    assert [] == run(copy.url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")


def test_sql_that_is_wrong_is_named(copy: Copy) -> None:
    """Of SQL that PostgreSQL cannot read it is said where it stops, since a migration's text holds nobody's values."""
    copy.add_migration("CREATE TABEL lists ()")
    sentence = "The database refused (SyntaxError, SQLSTATE 42601), and nothing has changed: "
    reason = 'syntax error at or near "TABEL"'
    assert f"db.admin.migrate.MigrationError: {sentence}{reason}" == copy.migrate("upgrade")


def test_what_the_server_lacks_is_named(copy: Copy) -> None:
    """An extension that a migration asks for, and this server does not have, is named."""
    copy.add_migration("CREATE EXTENSION not_here")
    assert 'nothing has changed: extension "not_here" is not available' in copy.migrate("upgrade")


def test_rows_are_not_missed_in_silence(tmp_path: Path) -> None:
    """A change of rows fails where row level security would hide them from their owner, until it is lifted."""
    change = "UPDATE users SET email = NULL"
    force = "ALTER TABLE users {} ROW LEVEL SECURITY"
    with cluster(15) as server, server.database(DEPLOYER) as url:
        copy = Copy(tmp_path, url)
        migrations.upgrade(url)
        run(
            url,
            "SELECT todo_enter('alice'); INSERT INTO users (id, email) VALUES ('alice', 'alice@example.com')",
        )
        copy.add_migration(change)
        assert copy.migrate("upgrade").endswith("also has to set NO FORCE ROW LEVEL SECURITY)")
        copy.add_migration("; ".join((force.format("NO FORCE"), change, force.format("FORCE"))))
        assert "" == copy.migrate("upgrade")
        assert [(None,)] == run(url, "SELECT todo_enter('alice'); SELECT email FROM users")
        assert [] == run(url, "SELECT email FROM users")
