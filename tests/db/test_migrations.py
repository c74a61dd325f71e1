"""The migrations on real servers: what they make, who may run them, and what a person is told when they cannot."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import alembic
import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from db.admin.migrate import FOREIGN, NEWER, MigrationError, Migrations
from db.driver.names import Names
from db.migrations import migrations
from examples.library.product import library
from tests.support.clusters import DEPLOYER, PASSWORD, Cluster, cluster, pooler, run
from tests.support.running import PROJECT, wait_until

OBJECTS = """
    SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1
"""
TENANT_EXISTS = "SELECT count(*) FROM pg_roles WHERE rolname = 'todo_tenant'"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%migrate'"

Clusters = Callable[[int], Cluster]
on = pytest.mark.parametrize


@pytest.fixture(scope="module")
def clusters() -> Iterator[Clusters]:
    """Servers by version, each started when it is first asked for."""
    with ExitStack() as running:
        yield cache(lambda version: running.enter_context(cluster(version)))


@pytest.fixture
def embedded(database_url: str) -> Cluster:
    """The server that the service brings along."""
    return Cluster(database_url)


@pytest.fixture
def fresh(embedded: Cluster) -> Iterator[str]:
    """An empty database on the embedded server."""
    with embedded.database() as url:
        yield url


def config(url: str) -> Config:
    """What Alembic's own commands need."""
    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(migrations.folder))
    config.attributes["url"] = url
    return config


def refusal(url: str) -> str:
    """The sentence with which an upgrade is refused."""
    with pytest.raises(MigrationError) as caught:
        migrations.upgrade(url)
    return str(caught.value)


@contextmanager
def upgrading(*urls: str) -> Iterator[list[subprocess.Popen[str]]]:
    """A process for each URL, which upgrades that database."""
    program = "import sys; from db.migrations import migrations; migrations.upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url], cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        for url in urls
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@contextmanager
def transaction(url: str, statement: str) -> Iterator[Callable[[], None]]:
    """An open transaction that has run `statement`, as what commits it."""
    with closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute(statement)
        yield connection.commit


@on(
    ("version", "owner"),
    [(None, None), (18, DEPLOYER), (15, DEPLOYER), (15, None)],
    ids=["18-embedded", "18-ordinary-login", "15-ordinary-login", "15-superuser"],
)
def test_there_and_back(
    clusters: Clusters, embedded: Cluster, version: int | None, owner: str | None
) -> None:
    """A fresh database is brought to what the models ask for, back to nothing, and there again."""
    server = embedded if version is None else clusters(version)
    with server.database(owner) as url:
        for _ in range(2):
            assert migrations.older == migrations.pending(url)
            migrations.upgrade(url)
            assert None is migrations.pending(url)
            migrations.check(url)
            command.downgrade(config(url), "base")
            assert ["alembic_version", "alembic_version_pkc"] == [name for (name,) in run(url, OBJECTS)]


@on("version", [15, 18])
def test_tasks_of_the_first_schema(clusters: Clusters, version: int) -> None:
    """Tasks from before priorities and due dates get the defaults without being rewritten, and survive the way back."""
    with clusters(version).database(DEPLOYER) as url:
        command.upgrade(config(url), "0001")
        enter, file = "SELECT todo_enter('alice');", "SELECT pg_relation_filenode('tasks')"
        run(url, f"{enter} INSERT INTO users (id) VALUES ('alice')")
        run(url, f"{enter} INSERT INTO tasks (user_id, title) VALUES ('alice', 'x')")
        before = run(url, file)
        migrations.upgrade(url)
        migrations.check(url)
        assert before == run(url, file)
        find = "SELECT title, priority, due_date FROM tasks"
        assert [("x", "medium", None)] == run(url, f"{enter} {find}")
        for wrong in ("priority = 'urgent'", "due_date = 'infinity'", "due_date = '0001-12-31 BC'"):
            with pytest.raises(psycopg2.IntegrityError):
                run(url, f"{enter} UPDATE tasks SET {wrong}")
        command.downgrade(config(url), "0001")
        assert [("x",)] == run(url, f"{enter} SELECT title FROM tasks")


def test_each_step_back_and_forth(fresh: str) -> None:
    """Step by step to the first schema and back no task is lost but a deleted one, which older ones would show."""
    migrations.upgrade(fresh)
    enter, find = "SELECT todo_enter('alice');", "SELECT title FROM tasks"
    run(fresh, f"{enter} INSERT INTO users (id) VALUES ('alice')")
    tasks = "('alice', 'kept', NULL), ('alice', 'gone', now())"
    run(fresh, f"{enter} INSERT INTO tasks (user_id, title, deleted_at) VALUES {tasks}")
    while run(fresh, "SELECT version_num FROM alembic_version") != [("0001",)]:
        command.downgrade(config(fresh), "-1")
    assert [("kept",)] == run(fresh, f"{enter} {find}")
    while migrations.pending(fresh) is not None:
        command.upgrade(config(fresh), "+1")
    migrations.check(fresh)
    assert [("kept",)] == run(fresh, f"{enter} {find}")


def test_nothing_to_do(fresh: str) -> None:
    """An upgrade of a database that is at the newest schema writes nothing."""
    migrations.upgrade(fresh)
    before = run(fresh, "SELECT xmin::text, version_num FROM alembic_version"), run(fresh, OBJECTS)
    migrations.upgrade(fresh)
    assert before == (run(fresh, "SELECT xmin::text, version_num FROM alembic_version"), run(fresh, OBJECTS))


@on("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_forms_of_a_url(fresh: str, scheme: str) -> None:
    """Every usual form of a PostgreSQL URL is taken."""
    assert migrations.older == migrations.pending(fresh.replace("postgresql", scheme, 1))


def test_two_deployers_at_once(fresh: str) -> None:
    """Of two deployers one waits, however long, and then finds nothing left to do."""
    lock = "SELECT pg_advisory_xact_lock(hashtext('todo-api migrations'))"
    with transaction(fresh, lock) as release, upgrading(fresh, fresh) as processes:
        wait_until(lambda: [(2,)] == run(fresh, WAITING))
        release()
        for process in processes:
            assert ("", 0) == (process.communicate(timeout=60)[1], process.returncode)
    migrations.check(fresh)


@on("version", [15, 18])
def test_two_databases_at_once(clusters: Clusters, version: int) -> None:
    """Two databases of one cluster may need the role at the same moment: one makes it and both go on."""
    server = clusters(version)
    with server.database(DEPLOYER) as first, server.database(DEPLOYER) as second:
        run(server.url, "DROP ROLE IF EXISTS todo_tenant")
        role = ScriptDirectory(str(migrations.folder)).get_revision("0001").module.ROLE
        with transaction(first, role) as commit, upgrading(second) as (process,):
            wait_until(lambda: [(1,)] == run(second, WAITING))
            commit()
            assert ("", 0) == (process.communicate(timeout=60)[1], process.returncode)
        migrations.upgrade(first)
        for url in (first, second):
            assert [("todo_tenant",)] == run(url, "SELECT todo_enter('alice'); SELECT current_user::text")


@on("version", [15, 18])
def test_the_last_database_drops_the_role(clusters: Clusters, version: int) -> None:
    """The role outlives the schema for as long as another database of the cluster needs it."""
    server = clusters(version)
    with server.database(DEPLOYER) as first, server.database(DEPLOYER) as second:
        for url in (first, second):
            migrations.upgrade(url)
        for url, left in ((first, 1), (second, 0)):
            command.downgrade(config(url), "base")
            assert [(left,)] == run(server.url, TENANT_EXISTS)


@on("version", [15, 16])
def test_a_login_without_the_right_to_make_roles(clusters: Clusters, version: int) -> None:
    """A login that may not make the role is told what an administrator must run, and that suffices."""
    server = clusters(version)
    run(server.url, "DROP ROLE IF EXISTS todo_tenant, todo_purger, plain")
    server.add_login("plain")
    with server.database("plain") as url:
        assert (
            "The login may not make the role todo_tenant or enter it: have an administrator run "
            "CREATE ROLE todo_tenant (if it is missing) and GRANT todo_tenant TO plain"
        ) == refusal(url)
        assert [] == run(url, OBJECTS)
        run(server.url, "CREATE ROLE todo_tenant; GRANT todo_tenant TO plain")
        run(server.url, "CREATE ROLE todo_purger; GRANT todo_purger TO plain")
        migrations.upgrade(url)
        assert [("todo_tenant",)] == run(url, "SELECT todo_enter('alice'); SELECT current_user::text")
    run(server.url, "DROP ROLE todo_tenant, todo_purger")


@on("right", ["BYPASSRLS", "SUPERUSER"])
def test_a_role_that_is_above_the_walls(clusters: Clusters, right: str) -> None:
    """A role todo_tenant that somebody made with too many rights is refused."""
    server = clusters(15)
    with server.database() as url:
        run(url, f"DROP ROLE IF EXISTS todo_tenant; CREATE ROLE todo_tenant {right}")
        assert (
            "The role todo_tenant bypasses row level security: have an administrator run "
            "ALTER ROLE todo_tenant NOSUPERUSER NOBYPASSRLS"
        ) == refusal(url)
        run(url, "ALTER ROLE todo_tenant NOSUPERUSER NOBYPASSRLS")
        migrations.upgrade(url)


def test_an_encoding_in_which_characters_are_bytes(embedded: Cluster) -> None:
    """A database that could not count characters is refused."""
    with embedded.database(
        options="TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
    ) as url:
        assert (
            "The database must have the encoding UTF8: create one with TEMPLATE template0 ENCODING 'UTF8'"
        ) == refusal(url)


@on(
    ("change", "sentence"),
    [
        (
            {"host": "127.0.0.1", "port": 1},
            "The database cannot be reached at 127.0.0.1 port 1: check that it runs, and host and port in DATABASE_URL",
        ),
        (
            {"password": f"not {PASSWORD}"},
            "The database refused the login: check user and password in DATABASE_URL",
        ),
        ({"password": ""}, "The database asks for a password: put one into DATABASE_URL"),
        (
            {"database": "nowhere"},
            "The database or the login in DATABASE_URL does not exist: create it, or check the names",
        ),
    ],
    ids=["port", "password", "no-password", "database"],
)
def test_what_keeps_one_out(clusters: Clusters, change: dict[str, Any], sentence: str) -> None:
    """Whoever cannot get in is told in one line what to look at, and never reads the driver's words."""
    whole = make_url(clusters(15).url)
    url = whole.set(**change, **({"query": {}} if "host" in change else {}))
    url = url.render_as_string(hide_password=False)
    for action in (migrations.upgrade, migrations.pending, migrations.check):
        with pytest.raises(MigrationError) as caught:
            action(url)
        assert sentence == str(caught.value)


def test_a_server_that_answers_is_not_called_unreachable(clusters: Clusters) -> None:
    """Where the server itself refuses, for whatever reason, nobody is sent to look at host and port."""
    url = make_url(clusters(15).url).update_query_dict({"options": "-c no_such_setting=1"})
    with pytest.raises(MigrationError) as caught:
        migrations.check(url.render_as_string(hide_password=False))
    assert (
        "The database answered and refused the connection: its log says why; check what DATABASE_URL asks of it "
        "beside host, port and login"
    ) == str(caught.value)


def test_a_server_without_a_free_connection_is_named(clusters: Clusters) -> None:
    """Where nobody more may connect, the line says so, and what can be raised."""
    with clusters(15).database(DEPLOYER, "CONNECTION LIMIT 0") as url:
        assert refusal(url).startswith("The database has no connection left: let fewer clients connect")


def test_a_schema_of_somebody_else(clusters: Clusters) -> None:
    """A login that may not make tables is told whose login to take."""
    server = clusters(15)
    with server.database() as url:
        run(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        strangers = server.as_login(DEPLOYER, str(make_url(url).database))
        assert refusal(strangers).startswith(
            "The database refused (InsufficientPrivilege, SQLSTATE 42501), and nothing has changed: "
            "take the login that owns"
        )


def test_a_lock_that_is_not_had(fresh: str) -> None:
    """A migration gives up soon where others hold what it needs, since everybody else would queue behind it."""
    migrations.upgrade(fresh)
    with transaction(fresh, "LOCK TABLE alembic_version"):
        for action in (migrations.upgrade, migrations.pending):
            with pytest.raises(MigrationError) as caught:
                action(fresh)
            assert (
                "The database refused (LockNotAvailable, SQLSTATE 55P03), and nothing has changed: "
                "try again when no other migration or long transaction runs"
            ) == str(caught.value)


def test_a_newer_schema(fresh: str) -> None:
    """An older version of the service does not touch the schema of a newer one."""
    migrations.upgrade(fresh)
    run(fresh, "UPDATE alembic_version SET version_num = '9999'")
    assert NEWER == migrations.pending(fresh) == refusal(fresh)
    for action in (migrations.check, migrations.status, migrations.sql):
        with pytest.raises(MigrationError, match=re.escape(NEWER)):
            action(fresh)


def test_a_schema_that_is_not_there(fresh: str) -> None:
    """A schema that DATABASE_URL names and nobody has made is to be made."""
    run(fresh, "DROP SCHEMA public")
    assert (
        "The database refused (InvalidSchemaName, SQLSTATE 3F000), and nothing has changed: "
        "create the schema that search_path names, in DATABASE_URL or for the login, or name another"
    ) == refusal(fresh)


def test_a_schema_of_another_service(fresh: str) -> None:
    """What another service has migrated is neither taken for ours nor changed, whatever its numbers are; a schema of
    its own, as the sentence advises, suffices."""
    others = library().tables.migrations
    for first, second, enter in ((others, migrations, "todo_enter"), (migrations, others, "library_enter")):
        run(fresh, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        first.upgrade(fresh)
        before = run(fresh, OBJECTS)
        for action in (second.upgrade, second.pending, second.check, second.status, second.sql):
            with pytest.raises(MigrationError, match=re.escape(FOREIGN.format(enter))):
                action(fresh)
        assert before == run(fresh, OBJECTS)
    run(fresh, 'CREATE SCHEMA "Library"')
    own = make_url(fresh).update_query_dict({"options": '-csearch_path="Library"'})
    url = own.render_as_string(hide_password=False)
    others.upgrade(url)
    assert None is others.pending(url)


def test_a_schema_that_was_changed_by_hand(fresh: str) -> None:
    """Each difference between the tables and what the contract asks for is named."""
    migrations.upgrade(fresh)
    run(fresh, "ALTER TABLE tasks ALTER title DROP NOT NULL, DROP CONSTRAINT tasks_title_length_1_255")
    differences = "(modify nullable tasks.title, add constraint tasks_title_length_1_255)"
    with pytest.raises(MigrationError, match=re.escape(differences)):
        migrations.check(fresh)


def test_behind_a_pooler(clusters: Clusters) -> None:
    """Behind PgBouncer in transaction mode a migration leaves no setting and no lock to the next client."""
    with clusters(15).database(DEPLOYER) as direct, pooler(direct) as url:
        migrations.upgrade(url)
        migrations.check(url)
        names = ("lock_timeout", "statement_timeout", "row_security", "citus.multi_shard_modify_mode")
        settings = ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in names)
        assert [("0", "0", "on", "")] == run(url, f"SELECT {settings}")
        assert [(0,)] == run(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


def test_the_folder_does_not_hide_the_package() -> None:
    """From the project's own folder `import alembic` finds the package, since the folder is no package itself."""
    assert [] == [path.name for path in migrations.folder.rglob("__init__.py")]
    program = "import alembic.command; print(alembic.__version__)"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (f"{alembic.__version__}\n", 0) == (ended.stdout, ended.returncode)


@on(
    ("service", "setting"),
    [("Clinic", "app.user"), ("clinic-1", "app.user"), ("c" * 51, "app.user"), ("clinic", "user_id")],
)
def test_names_that_sql_cannot_have(service: str, setting: str) -> None:
    """Names that PostgreSQL would refuse, cut or write in small letters are refused where they are given."""
    assert f"{'c' * 50}_enter_purger" == Names("c" * 50).enter_purger
    with pytest.raises(ValueError, match=r"^Names\("):
        Names(service, setting)


@on("missing", ["env.py", "versions/0001_first.py"])
def test_a_folder_that_lacks_something(fresh: str, tmp_path: Path, missing: str) -> None:
    """A folder without its migrations, or without what runs them, is named instead of taken for the newest schema."""
    (tmp_path / "versions").mkdir()
    for name in {"env.py", "versions/0001_first.py"} - {missing}:
        (tmp_path / name).touch()
    empty = Migrations(tmp_path, "clinic", Names("clinic"))
    for ask in (empty.pending, empty.upgrade):
        with pytest.raises(
            MigrationError, match=r"^There must be env.py and versions/NNNN_\*.py, the migrations, in "
        ):
            ask(fresh)
